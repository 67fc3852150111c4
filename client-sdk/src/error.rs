//! The error of this crate.

mod proxy_error_kind;
mod tls_error_kind;

use std::time::Duration;

use presence_protocol::{ApiError, Errno, RetryAdvice};

use crate::end_reason::EndReason;

pub use proxy_error_kind::ProxyErrorKind;
pub use tls_error_kind::TlsErrorKind;

/// The reason for which a call failed. Its texts hold no secrets.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server refused the call, with an entry of the registry of errors.
    #[error("{0}")]
    Refused(ApiError),
    /// There was no connection to the server: the host name or the network failed, or the other
    /// side is no Presence server.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// The other side is not trusted, or does not speak TLS as it should. This can pass: in a
    /// network that asks its users to sign in first, when a clock is set, or when the server has a
    /// new certificate. Nothing but the handshake was sent.
    #[error("there is no secure connection to the server: {reason}")]
    Tls {
        /// The kind of failure.
        kind: TlsErrorKind,
        /// The description, for people.
        reason: String,
    },
    /// There was no connection through the proxy.
    #[error("there is no connection through the proxy: {reason}")]
    Proxy {
        /// The kind of failure.
        kind: ProxyErrorKind,
        /// The description, for people.
        reason: String,
        /// The wait that the proxy asks for, with the header `Retry-After`. It is at most a day.
        retry_after: Option<Duration>,
    },
    /// No reply came in time. The server may have carried out the call.
    #[error("the server did not reply in time")]
    TimedOut,
    /// The channel has ended.
    #[error("the channel has ended: {0}")]
    Ended(EndReason),
    /// An argument was not valid. Nothing was sent.
    #[error("{0}")]
    InvalidArgument(String),
    /// The server sent a reply that does not follow the protocol.
    #[error("the server sent an unexpected reply: {0}")]
    Unexpected(String),
}

impl Error {
    /// Returns true if the same call may succeed later.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Refused(error) => error.retry_advice() == RetryAdvice::AfterWaiting,
            Self::Unreachable(_) | Self::Tls { .. } | Self::Proxy { .. } | Self::TimedOut => true,
            Self::Ended(_) | Self::InvalidArgument(_) | Self::Unexpected(_) => false,
        }
    }

    /// Returns the entry of the registry of errors, if the server refused the call.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Refused(error) => Some(error.errno),
            Self::Unreachable(_)
            | Self::Tls { .. }
            | Self::Proxy { .. }
            | Self::TimedOut
            | Self::Ended(_)
            | Self::InvalidArgument(_)
            | Self::Unexpected(_) => None,
        }
    }

    /// Returns the time to wait before the next attempt, if the server or the proxy gave one.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(error) => retry_after(error),
            Self::Proxy { retry_after, .. } => *retry_after,
            Self::Unreachable(_)
            | Self::Tls { .. }
            | Self::TimedOut
            | Self::Ended(_)
            | Self::InvalidArgument(_)
            | Self::Unexpected(_) => None,
        }
    }
}

/// The maximum of a wait that a server asks for.
pub(crate) const MAX_WAIT: Duration = Duration::from_hours(24);

/// Returns the wait that a refusal asks for, at most a day.
pub(crate) fn retry_after(error: &ApiError) -> Option<Duration> {
    error.retry_after.map(limited_wait)
}

/// Returns a wait in seconds that was asked for, at most a day.
pub(crate) fn limited_wait(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(MAX_WAIT).min(MAX_WAIT)
}

impl From<ApiError> for Error {
    fn from(error: ApiError) -> Self {
        Self::Refused(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_retryable_if_the_registry_allows_it_or_the_server_did_not_reply() {
        assert!(Error::from(ApiError::slow_down(0.5)).retryable());
        assert!(Error::from(ApiError::from(Errno::ShuttingDown)).retryable());
        assert!(Error::Unreachable("reset".to_owned()).retryable() && Error::TimedOut.retryable());
        let reason = String::new;
        assert!(Error::Tls { kind: TlsErrorKind::Expired, reason: reason() }.retryable());
        let kind = ProxyErrorKind::Forbidden;
        assert!(Error::Proxy { kind, reason: reason(), retry_after: None }.retryable());
        assert!(!Error::from(ApiError::from(Errno::InvalidApiKey)).retryable());
        assert!(!Error::from(ApiError::from(Errno::InvalidAssertion)).retryable());
        assert!(!Error::Ended(EndReason::Replaced).retryable());
    }

    #[test]
    fn a_requested_wait_is_limited_to_a_day_and_never_negative() {
        let requested = |seconds| {
            let error = ApiError { retry_after: Some(seconds), ..Errno::SlowDown.into() };
            Error::from(error).retry_after()
        };
        assert_eq!(requested(0.25), Some(Duration::from_millis(250)));
        assert_eq!(requested(1e6), Some(Duration::from_hours(24)));
        assert_eq!(requested(1e300), Some(Duration::from_hours(24)));
        assert!(requested(-1.0) <= Some(Duration::from_hours(24)));
        assert!(requested(f64::NAN) <= Some(Duration::from_hours(24)));
    }
}
