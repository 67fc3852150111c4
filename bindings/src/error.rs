//! Why something was not done: one error, told apart by kind and, where the server said no, by the entry of its registry.

use presence_client::{ApiError, EndReason, Errno, Error};

/// Makes the exported copy of the registry of errors. The match has an arm for each entry, so that a new one is not forgotten.
macro_rules! errnos {
    ($($(#[doc = $doc:literal])+ $variant:ident,)+) => {
        /// An entry of the server's registry of errors: why it refused something.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
        pub enum PresenceErrno {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl From<Errno> for PresenceErrno {
            fn from(errno: Errno) -> Self {
                match errno {
                    $(Errno::$variant => Self::$variant,)+
                }
            }
        }

        #[cfg(test)]
        const DOCUMENTED: &[(Errno, &str)] = &[$((Errno::$variant, concat!($($doc),+)),)+];
    };
}

errnos! {
    /// The frame or body is not a JSON object.
    NotJson,
    /// A required field is missing.
    MissingField,
    /// A field has the wrong type or a value out of bounds.
    InvalidField,
    /// The `type` or `action` of the frame is not known.
    UnknownType,
    /// The body, the frame or the list in it is larger than allowed.
    TooLarge,
    /// The body is of a media type that the call does not take.
    UnsupportedMediaType,
    /// Too many calls; wait `retry_after` seconds.
    SlowDown,
    /// Too many connections of this user or from this address.
    TooManyConnections,
    /// No credential was given.
    NotAuthenticated,
    /// The issuer of the assertion cannot be reached.
    IdentityUnavailable,
    /// The session has ended; a fresh assertion renews it.
    SessionExpired,
    /// The assertion is not valid, or was used elsewhere.
    InvalidAssertion,
    /// The assertion proves another e-mail than the one given.
    EmailMismatch,
    /// There is no such Application, or it is somebody else's.
    UnknownApplication,
    /// The API key is not valid for this Application.
    InvalidApiKey,
    /// The Application is not active.
    ApplicationNotActive,
    /// The Application's domain has not been verified.
    DomainNotVerified,
    /// There is no such PUID for this Application.
    UnknownUid,
    /// The credential is of the wrong kind, or its scope is too small.
    Forbidden,
    /// The redirect is not on the Application's verified domain.
    RedirectNotAllowed,
    /// There is no such path or thing.
    NotFound,
    /// The path does not know this method.
    MethodNotAllowed,
    /// The server failed.
    Internal,
    /// The server cannot store it now.
    StorageUnavailable,
    /// The server is shutting down.
    ShuttingDown,
}

/// Why something was not done. No text in it holds a secret.
#[derive(Debug, Clone, PartialEq, thiserror::Error, uniffi::Error)]
pub enum PresenceError {
    /// The server refused it.
    #[error("{code} {reason}")]
    Refused {
        /// Which entry of the registry of errors.
        errno: PresenceErrno,
        /// Its number.
        code: u16,
        /// For people.
        reason: String,
        /// How long to wait before trying again, where the server said so.
        retry_after_seconds: Option<f64>,
        /// Whether the same call may succeed later, as it is.
        retryable: bool,
    },
    /// There was no connection: the name, the network, TLS, or a stranger in the server's place. Trying again may help.
    #[error("the server cannot be reached: {reason}")]
    Unreachable {
        /// For people.
        reason: String,
    },
    /// No answer came in time. What was asked may have been done; trying again may help.
    #[error("no answer in time")]
    TimedOut,
    /// The channel has ended.
    #[error("the channel has ended")]
    Ended {
        /// How.
        end: ChannelEnd,
    },
    /// It was refused before anything was sent.
    #[error("{reason}")]
    InvalidArgument {
        /// For people.
        reason: String,
    },
    /// The server said something that the contract does not know, or this device failed.
    #[error("unexpected: {reason}")]
    Unexpected {
        /// For people.
        reason: String,
    },
    /// The cancel token of the call was cancelled.
    #[error("cancelled")]
    Cancelled,
}

impl PresenceError {
    /// What an argument must be, where it is something else.
    pub(crate) fn argument(reason: impl Into<String>) -> Self {
        Self::InvalidArgument { reason: reason.into() }
    }
}

impl From<ApiError> for PresenceError {
    fn from(ko: ApiError) -> Self {
        Error::Refused(ko).into()
    }
}

impl From<Error> for PresenceError {
    fn from(error: Error) -> Self {
        let retryable = error.retryable();
        let retry_after_seconds = error.retry_after().map(|wait| wait.as_secs_f64());
        match error {
            Error::Refused(ko) => Self::Refused {
                errno: ko.errno.into(),
                code: ko.errno.number(),
                reason: ko.text.into_owned(),
                retry_after_seconds,
                retryable,
            },
            Error::Unreachable(reason) => Self::Unreachable { reason },
            Error::TimedOut => Self::TimedOut,
            Error::Ended(end) => Self::Ended { end: end.into() },
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

/// How a channel ended.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum ChannelEnd {
    /// This app closed it.
    Closed,
    /// A newer connection of the same device has taken over: close code 4001.
    Replaced,
    /// The user ended this device, or erased the account: 4005.
    EndedByUser,
    /// The Application was deactivated or removed, or its key revoked: 4004.
    ApplicationClosed,
    /// Server and client do not understand each other, so that coming back would not help.
    Incompatible {
        /// For people.
        reason: String,
    },
}

impl From<EndReason> for ChannelEnd {
    fn from(end: EndReason) -> Self {
        match end {
            EndReason::Closed => Self::Closed,
            EndReason::Replaced => Self::Replaced,
            EndReason::EndedByUser => Self::EndedByUser,
            EndReason::ApplicationClosed => Self::ApplicationClosed,
            EndReason::Incompatible(reason) => Self::Incompatible { reason },
            other => Self::Incompatible { reason: other.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_of_the_registry_is_exported_with_its_meaning() {
        let exported: Vec<_> = DOCUMENTED.iter().map(|(errno, doc)| (*errno, *doc)).collect();
        let registry: Vec<_> = Errno::ALL.iter().map(|errno| (*errno, errno.meaning())).collect();
        assert_eq!(exported, registry);
    }

    #[test]
    fn a_refusal_says_whether_and_when_to_try_again() {
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
