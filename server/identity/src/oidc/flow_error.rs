//! The errors of the code flow.

use crate::identity::{IdentityError, Reason};

/// The reason why a browser was not signed in. Contains no secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FlowError {
    /// The provider is not configured, or not offered to browsers.
    #[error("unknown provider")]
    UnknownProvider,
    /// The sign-in was begun by another browser, has expired, or is already finished.
    #[error("the sign-in was begun by another browser, has expired, or is already finished")]
    Stale,
    /// The user or the provider declined the sign-in.
    #[error("the user or the provider declined the sign-in")]
    Declined,
    /// The provider rejected the code.
    #[error("the provider rejected the code")]
    CodeRefused,
    /// The provider rejected the credentials of this server.
    #[error("the provider rejected this server's credentials: check client_ids and client_secret")]
    ClientRefused,
    /// The response names another provider.
    #[error("the response is from another provider")]
    MixedUp,
    /// The ID token is not valid.
    #[error("the ID token is not valid: {0}")]
    Invalid(Reason),
    /// The provider cannot be reached.
    #[error("the provider cannot be reached")]
    Unavailable,
    /// Too many sign-ins are in progress.
    #[error("too many sign-ins are in progress")]
    Busy,
}

impl From<IdentityError> for FlowError {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::Invalid(reason) => Self::Invalid(reason),
            IdentityError::Unavailable => Self::Unavailable,
            IdentityError::Busy => Self::Busy,
        }
    }
}
