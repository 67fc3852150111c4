//! What failures of the rooms below are to a caller.

use presence_identity::IdentityError;
use presence_protocol::{ApiError, Errno};
use presence_store::{NotifyError, StoreError};

/// Seconds to wait before trying a failed store again.
const STORE_RETRY: f64 = 1.0;
/// Seconds to wait before asking an issuer again that could not be reached.
const ISSUER_RETRY: f64 = 5.0;

/// What a failure of the store is to a caller.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
pub(crate) fn of_store(error: StoreError) -> ApiError {
    tracing::warn!(%error, "store.failed");
    if matches!(error, StoreError::CorruptRow(_)) {
        return Errno::Internal.into();
    }
    ApiError::from(Errno::StorageUnavailable).after(STORE_RETRY)
}

/// What a failure to verify is to a caller.
pub(crate) fn of_identity(error: IdentityError) -> ApiError {
    tracing::debug!(%error, "identity.refused");
    match error {
        IdentityError::Invalid(_) => Errno::InvalidAssertion.into(),
        IdentityError::Unavailable => {
            ApiError::from(Errno::IdentityUnavailable).after(ISSUER_RETRY)
        }
        IdentityError::Busy => ApiError::slow_down(1.0),
    }
}

/// What a refused notification is to its sender.
pub(crate) fn of_notification(fault: NotifyError) -> ApiError {
    match fault {
        NotifyError::UnknownUid => Errno::UnknownUid.into(),
        NotifyError::IdempotencyMismatch => ApiError::detailed(
            Errno::InvalidField,
            "idempotency_key was used for another notification",
        ),
    }
}
