//! The error type of this library, and the reasons for which a channel ends.

use presence_client::{ApiError, Errno, Error};

use crate::error_kinds::{ProxyErrorKind, TlsErrorKind};

/// Defines the exported copy of the registry of errors. The match has an arm for each entry, so a
/// new entry that is missing here does not compile.
macro_rules! errnos {
    ($($(#[doc = $doc:literal])+ $variant:ident = $number:tt,)+) => {
        /// An entry of the registry of errors: the reason why the server refused a request. The
        /// value of an entry is its number on the wire.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
        #[repr(u16)]
        pub enum PresenceErrno {
            $($(#[doc = $doc])+ $variant = $number,)+
            /// An error of a newer server. Its number is in `code`; the value 0 is no number.
            Unknown = 0,
        }

        impl From<Errno> for PresenceErrno {
            fn from(errno: Errno) -> Self {
                match errno {
                    $(Errno::$variant => Self::$variant,)+
                    Errno::Unknown(_) => Self::Unknown,
                }
            }
        }

        #[cfg(test)]
        const EXPORTED: &[(Errno, u16, &str)] =
            &[$((Errno::$variant, PresenceErrno::$variant as u16, concat!($($doc),+)),)+];
    };
}

errnos! {
    /// The frame or body is not a JSON object.
    NotJson = 10,
    /// A required field is missing.
    MissingField = 11,
    /// A field has the wrong type or a value out of bounds.
    InvalidField = 12,
    /// The `type` or `action` of the frame is not known.
    UnknownType = 13,
    /// The body, the frame or the list in it is larger than allowed.
    TooLarge = 14,
    /// The call does not accept the media type of the body.
    UnsupportedMediaType = 15,
    /// Too many calls; wait `retry_after` seconds.
    SlowDown = 20,
    /// Too many connections of this user or from this address.
    TooManyConnections = 21,
    /// No credential was given, or it does not have the form of a session token.
    NotAuthenticated = 30,
    /// The issuer of the assertion cannot be reached.
    IdentityUnavailable = 31,
    /// The session has ended; a fresh assertion renews it.
    SessionExpired = 32,
    /// The assertion is not valid, or was used for another session or device.
    InvalidAssertion = 34,
    /// The assertion is for another e-mail address than the given one.
    EmailMismatch = 35,
    /// There is no such Application, or it belongs to another user.
    UnknownApplication = 40,
    /// The API key is not valid for this Application.
    InvalidApiKey = 41,
    /// The Application is not active.
    ApplicationNotActive = 42,
    /// The Application's domain has not been verified.
    DomainNotVerified = 43,
    /// There is no such PUID for this Application.
    UnknownUid = 44,
    /// The credential is of the wrong kind, or its scope is too small.
    Forbidden = 45,
    /// The redirect is not on the Application's verified domain.
    RedirectNotAllowed = 46,
    /// There is no such path or resource.
    NotFound = 47,
    /// The path does not support this method.
    MethodNotAllowed = 48,
    /// The server failed.
    Internal = 50,
    /// The server cannot store data now.
    StorageUnavailable = 51,
    /// The server is shutting down.
    ShuttingDown = 52,
}

/// The reason why a call failed. No text in it contains a secret.
#[derive(Debug, Clone, PartialEq, thiserror::Error, uniffi::Error)]
pub enum PresenceError {
    /// The server refused the request.
    #[error("{code} {reason}")]
    Refused {
        /// The entry of the registry of errors.
        errno: PresenceErrno,
        /// The number of the entry.
        code: u16,
        /// The description, for people.
        reason: String,
        /// The time to wait before the next attempt, in seconds, if the server gave one.
        retry_after_seconds: Option<f64>,
        /// Is true if the same call may succeed later.
        retryable: bool,
    },
    /// There was no connection to the server: the host name or the network failed, or the other
    /// side is no Presence server. A later call may succeed.
    #[error("the server cannot be reached: {reason}")]
    Unreachable {
        /// The description, for people.
        reason: String,
    },
    /// The other side is not trusted, or does not speak TLS as it should. A later call may succeed:
    /// in another network, when the clock is set, or when the server has a new certificate.
    #[error("there is no secure connection to the server: {reason}")]
    Tls {
        /// The kind of failure.
        kind: TlsErrorKind,
        /// The description, for people.
        reason: String,
    },
    /// There was no connection through the proxy. A later call may succeed.
    #[error("there is no connection through the proxy: {reason}")]
    Proxy {
        /// The kind of failure.
        kind: ProxyErrorKind,
        /// The description, for people.
        reason: String,
        /// The wait that the proxy asks for, if it asks for one.
        retry_after_seconds: Option<f64>,
    },
    /// The server did not reply in time. It may have carried out the request. A later call may
    /// succeed.
    #[error("the server did not reply in time")]
    TimedOut,
    /// The channel has ended.
    #[error("the channel has ended")]
    Ended {
        /// The reason for the end.
        reason: EndReason,
    },
    /// An argument is invalid. Nothing was sent.
    #[error("{reason}")]
    InvalidArgument {
        /// The description, for people.
        reason: String,
    },
    /// The server sent something that the protocol does not allow, or this device failed.
    #[error("unexpected error: {reason}")]
    Unexpected {
        /// The description, for people.
        reason: String,
    },
    /// The cancel token of the call was cancelled.
    #[error("the call was cancelled")]
    Cancelled,
}

impl PresenceError {
    /// Creates an `InvalidArgument`.
    pub(crate) fn invalid_argument(reason: impl Into<String>) -> Self {
        Self::InvalidArgument { reason: reason.into() }
    }
}

impl From<ApiError> for PresenceError {
    fn from(error: ApiError) -> Self {
        Error::Refused(error).into()
    }
}

impl From<Error> for PresenceError {
    fn from(error: Error) -> Self {
        let retryable = error.retryable();
        let retry_after_seconds = error.retry_after().map(|wait| wait.as_secs_f64());
        match error {
            Error::Refused(refusal) => Self::Refused {
                errno: refusal.errno.into(),
                code: refusal.errno.number(),
                reason: refusal.text.into_owned(),
                retry_after_seconds,
                retryable,
            },
            Error::Unreachable(reason) => Self::Unreachable { reason },
            Error::Tls { kind, reason } => Self::Tls { kind: kind.into(), reason },
            Error::Proxy { kind, reason, .. } => {
                Self::Proxy { kind: kind.into(), reason, retry_after_seconds }
            }
            Error::TimedOut => Self::TimedOut,
            Error::Ended(reason) => Self::Ended { reason: reason.into() },
            Error::InvalidArgument(reason) => Self::InvalidArgument { reason },
            Error::Unexpected(reason) => Self::Unexpected { reason },
            other => Self::Unexpected { reason: other.to_string() },
        }
    }
}

impl From<uniffi::UnexpectedUniFFICallbackError> for PresenceError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Unexpected { reason: error.reason }
    }
}

/// The reason why a channel has ended.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum EndReason {
    /// This app closed the channel.
    Closed,
    /// A newer connection of the same device has replaced this one: close code 4001.
    Replaced,
    /// The user ended this device or erased the account: close code 4005.
    EndedByUser,
    /// The Application was deactivated or removed, or its API key was deleted: close code 4004.
    ApplicationClosed,
    /// The task of the channel was aborted, because its runtime was shut down.
    Aborted,
    /// Server and client do not understand each other. A reconnect would not help.
    Incompatible {
        /// The description, for people.
        reason: String,
    },
}

impl From<presence_client::EndReason> for EndReason {
    fn from(reason: presence_client::EndReason) -> Self {
        use presence_client::EndReason as Sdk;
        match reason {
            Sdk::Closed => Self::Closed,
            Sdk::Replaced => Self::Replaced,
            Sdk::EndedByUser => Self::EndedByUser,
            Sdk::ApplicationClosed => Self::ApplicationClosed,
            Sdk::Aborted => Self::Aborted,
            Sdk::Incompatible(reason) => Self::Incompatible { reason },
            other => Self::Incompatible { reason: other.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_of_the_registry_is_exported_with_its_number_and_description() {
        let registry: Vec<_> =
            Errno::ALL.iter().map(|errno| (*errno, errno.number(), errno.meaning())).collect();
        assert_eq!(EXPORTED, registry);
        assert_eq!(Errno::from_number(PresenceErrno::Unknown as u16), None);
    }

    #[test]
    fn a_refusal_contains_whether_and_when_to_retry() {
        let unknown = ApiError::from(Errno::Unknown(77)).with_retry_after(2.0);
        let PresenceError::Refused { errno, code, retry_after_seconds, retryable, .. } =
            PresenceError::from(unknown)
        else {
            panic!("no refusal")
        };
        assert_eq!((errno, code), (PresenceErrno::Unknown, 77));
        assert_eq!((retry_after_seconds, retryable), (Some(2.0), true));
        let error = PresenceError::from(ApiError::slow_down(0.5));
        let expected = PresenceError::Refused {
            errno: PresenceErrno::SlowDown,
            code: 20,
            reason: "Slow down".to_owned(),
            retry_after_seconds: Some(0.5),
            retryable: true,
        };
        assert_eq!(error, expected);
    }
}
