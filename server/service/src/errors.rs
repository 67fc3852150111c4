//! Converts the errors of lower crates to the errors that clients get.

use presence_identity::IdentityError;
use presence_protocol::{ApiError, Errno};
use presence_store::{NotifyError, StoreError};

use crate::rates::slow_down;

/// The seconds after which a client may retry if the database failed.
const STORE_RETRY: f64 = 1.0;
/// The seconds after which a client may retry if an issuer could not be reached.
const ISSUER_RETRY: f64 = 5.0;

/// Converts an error of the store, and logs it.
#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes the error by value")]
pub(crate) fn from_store(error: StoreError) -> ApiError {
    tracing::warn!(%error, "store.failed");
    if matches!(error, StoreError::CorruptRow(_)) {
        return Errno::Internal.into();
    }
    ApiError::from(Errno::StorageUnavailable).with_retry_after(STORE_RETRY)
}

/// Converts an error of the verification of an assertion.
pub(crate) fn from_identity(error: IdentityError) -> ApiError {
    tracing::debug!(%error, "identity.refused");
    match error {
        IdentityError::Invalid(_) => Errno::InvalidAssertion.into(),
        IdentityError::Unavailable => {
            ApiError::from(Errno::IdentityUnavailable).with_retry_after(ISSUER_RETRY)
        }
        IdentityError::Busy => ApiError::slow_down(1.0),
    }
}

/// Converts the reason why a notification was refused.
pub(crate) fn from_notify(fault: NotifyError) -> ApiError {
    match fault {
        NotifyError::UnknownUid => Errno::UnknownUid.into(),
        NotifyError::TooFast(wait) => slow_down(wait),
        NotifyError::IdempotencyMismatch => ApiError::detailed(
            Errno::InvalidField,
            "idempotency_key was used for another notification",
        ),
        NotifyError::SourceOfOther => ApiError::detailed(
            Errno::InvalidField,
            "source must not be the name of another application",
        ),
    }
}

/// Returns the value of a maintenance step, or logs why the step failed.
pub(crate) fn or_logged<T>(what: &'static str, result: Result<T, StoreError>) -> Option<T> {
    result.inspect_err(|error| tracing::warn!(%error, what, "housekeeping")).ok()
}
