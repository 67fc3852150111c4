//! The one error of this crate, and whether trying again helps.

use std::time::Duration;

use presence_protocol::{ApiError, Errno, RetryAdvice};

use crate::state::EndReason;

/// Why something was not done. No text in it holds a secret.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server refused it, with an entry of the registry of errors.
    #[error("{0}")]
    Refused(ApiError),
    /// There was no connection: the name, the network, TLS, or a stranger in the server's place.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// No answer came in time. What was asked may have been done.
    #[error("no answer in time")]
    TimedOut,
    /// The channel has ended.
    #[error("the channel has ended: {0}")]
    Ended(EndReason),
    /// It was refused before anything was sent.
    #[error("{0}")]
    InvalidArgument(String),
    /// The server said something that the contract does not know.
    #[error("the server said something unexpected: {0}")]
    Unexpected(String),
}

impl Error {
    /// Whether the same call may succeed later, as it is.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Refused(ko) => ko.errno.retry_advice() == RetryAdvice::AfterWaiting,
            Self::Unreachable(_) | Self::TimedOut => true,
            Self::Ended(_) | Self::InvalidArgument(_) | Self::Unexpected(_) => false,
        }
    }

    /// The entry of the registry of errors, where the server refused it.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Refused(ko) => Some(ko.errno),
            Self::Unreachable(_)
            | Self::TimedOut
            | Self::Ended(_)
            | Self::InvalidArgument(_)
            | Self::Unexpected(_) => None,
        }
    }

    /// How long to wait before trying again, where the server said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(ko) => retry_after(ko),
            Self::Unreachable(_)
            | Self::TimedOut
            | Self::Ended(_)
            | Self::InvalidArgument(_)
            | Self::Unexpected(_) => None,
        }
    }
}

/// The wait that a refusal asks for, at most a day, whatever the server says.
pub(crate) fn retry_after(ko: &ApiError) -> Option<Duration> {
    const A_DAY: Duration = Duration::from_hours(24);
    let wait = Duration::try_from_secs_f64(ko.retry_after?).unwrap_or(A_DAY);
    Some(wait.min(A_DAY))
}

impl From<ApiError> for Error {
    fn from(ko: ApiError) -> Self {
        Self::Refused(ko)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_helps_where_the_registry_says_so_and_where_nobody_answered() {
        assert!(Error::from(ApiError::slow_down(0.5)).retryable());
        assert!(Error::from(ApiError::from(Errno::ShuttingDown)).retryable());
        assert!(Error::Unreachable("reset".to_owned()).retryable() && Error::TimedOut.retryable());
        assert!(!Error::from(ApiError::from(Errno::InvalidApiKey)).retryable());
        assert!(!Error::from(ApiError::from(Errno::InvalidAssertion)).retryable());
        assert!(!Error::Ended(EndReason::Replaced).retryable());
    }

    #[test]
    fn no_wait_of_a_server_is_longer_than_a_day_or_less_than_nothing() {
        let asked = |seconds| {
            Error::from(ApiError { retry_after: Some(seconds), ..Errno::SlowDown.into() })
                .retry_after()
        };
        assert_eq!(asked(0.25), Some(Duration::from_millis(250)));
        assert_eq!(asked(1e6), Some(Duration::from_hours(24)));
        assert_eq!(asked(1e300), Some(Duration::from_hours(24)));
        assert!(asked(-1.0) <= Some(Duration::from_hours(24)));
        assert!(asked(f64::NAN) <= Some(Duration::from_hours(24)));
    }
}
