//! The credentials of a user, and the trait that provides fresh ones.

use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};

/// A credential of a user. Its text is not part of the `Debug` output.
#[derive(Clone)]
pub enum Credential {
    /// An identity assertion for this server.
    Assertion(SecretString),
    /// The bearer token of a session, from `PresenceApi::sign_in`.
    Token(SecretString),
}

impl Credential {
    /// Returns true if the other credential has the same kind and text.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Assertion(one), Self::Assertion(other))
            | (Self::Token(one), Self::Token(other)) => {
                one.expose_secret() == other.expose_secret()
            }
            (Self::Assertion(_), Self::Token(_)) | (Self::Token(_), Self::Assertion(_)) => false,
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Assertion(_) => "Assertion(…)",
            Self::Token(_) => "Token(…)",
        })
    }
}

/// The reason for which a channel asks for a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialReason {
    /// The channel has had none so far.
    First,
    /// The session ends soon. A fresh credential renews it without a reconnect.
    Expiring {
        /// The time until the session ends.
        within: Duration,
    },
    /// The server does not accept the earlier credential, or does not accept it any more.
    Expired,
}

/// A request of a channel for a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CredentialRequest {
    /// The number of the request. It grows with each request of a channel, from 1.
    pub number: u64,
    /// The reason for which the channel needs a credential.
    pub reason: CredentialReason,
}

/// The reason for which a [`CredentialProvider`] has no credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// There is none at the moment, for example because the identity provider cannot be reached.
    /// The channel asks again, with a backoff.
    #[error("no credential is available at the moment: {0}")]
    Unavailable(String),
    /// The user has to sign in first.
    #[error("the user is signed out")]
    SignedOut,
}

/// A provider of fresh credentials.
///
/// Every function from [`CredentialReason`] to a suitable future is a provider. Several channels
/// that share a provider can use a [`CredentialCache`](crate::CredentialCache).
///
/// Each call runs in a task of its own. A newer request of the channel and
/// [`set_credential`](crate::DeviceChannel::set_credential) cancel it, and so does the end of the
/// channel. A call that never returns, or that panics, therefore does not hold up the channel. A
/// call that blocks its thread holds up one thread of the runtime, and cannot be cancelled before
/// it returns: a runtime with one thread stands still meanwhile. Use `spawn_blocking` for such
/// work.
pub trait CredentialProvider: Send + Sync + 'static {
    /// Returns a fresh credential. The future may be dropped before it is done.
    ///
    /// # Errors
    ///
    /// [`CredentialError`] determines whether the channel asks again.
    fn credential(
        &self,
        reason: CredentialReason,
    ) -> BoxFuture<'_, Result<Credential, CredentialError>>;
}

impl<F, Output> CredentialProvider for F
where
    F: Fn(CredentialReason) -> Output + Send + Sync + 'static,
    Output: Future<Output = Result<Credential, CredentialError>> + Send + 'static,
{
    fn credential(
        &self,
        reason: CredentialReason,
    ) -> BoxFuture<'_, Result<Credential, CredentialError>> {
        Box::pin(self(reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_never_printed() {
        for credential in
            [Credential::Assertion("secret".into()), Credential::Token("secret".into())]
        {
            assert!(!format!("{credential:?}").contains("secret"));
        }
    }
}
