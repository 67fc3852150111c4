//! Converts the errors of lower crates to the errors that clients get.

use std::sync::{LazyLock, Mutex, PoisonError};

use presence_core::{LogLimit, Steady};
use presence_identity::IdentityError;
use presence_protocol::{ApiError, Errno};
use presence_store::{NotifyError, StoreError};

use crate::clock::Stopwatch;
use crate::rates::slow_down;

/// The seconds after which a client may retry if the database failed.
const STORE_RETRY: f64 = 1.0;
/// The seconds after which a client may retry if an issuer could not be reached.
const ISSUER_RETRY: f64 = 5.0;

/// The failures of the database that callers were answered with.
static ANSWERED: RepeatedFailures = RepeatedFailures::new();
/// The failures of the database in the maintenance.
static IN_MAINTENANCE: RepeatedFailures = RepeatedFailures::new();

/// Failures that repeat themselves, and are logged as warnings once a minute.
struct RepeatedFailures {
    running: LazyLock<Stopwatch>,
    limit: Mutex<LogLimit>,
}

impl RepeatedFailures {
    const fn new() -> Self {
        Self { running: LazyLock::new(Stopwatch::start), limit: Mutex::new(LogLimit::new()) }
    }

    fn log(&self, error: &StoreError, what: &'static str) {
        if let Some(count) = self.count() {
            warn(error, what, count);
        } else {
            tracing::debug!(%error, what, "store.failed");
        }
    }

    /// Counts a failure. Returns the number since the last warning if another one is due.
    fn count(&self) -> Option<u64> {
        let now = Steady::from_start(self.running.elapsed());
        self.limit.lock().unwrap_or_else(PoisonError::into_inner).count(now)
    }
}

fn warn(error: &StoreError, what: &'static str, count: u64) {
    tracing::warn!(%error, what, count, "store.failed");
}

/// Converts an error of the store, and logs it. While the database fails, each call fails: beyond
/// one warning a minute, the lines are of the level `debug`.
#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes the error by value")]
pub(crate) fn from_store(error: StoreError) -> ApiError {
    if matches!(error, StoreError::CorruptRow(_)) {
        tracing::error!(%error, "store.corrupt");
        return Errno::Internal.into();
    }
    ANSWERED.log(&error, "a call failed");
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
    result.inspect_err(|error| IN_MAINTENANCE.log(error, what)).ok()
}
