//! What a user proves themselves with, and where it comes from.

use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;
use secrecy::SecretString;

/// What a user proves themselves with. It is not in `Debug`.
#[derive(Clone)]
pub enum Credential {
    /// An identity assertion, for this server.
    Assertion(SecretString),
    /// The bearer token of a session, from `PresenceApi::sign_in`.
    Token(SecretString),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Assertion(_) => "Assertion(…)",
            Self::Token(_) => "Token(…)",
        })
    }
}

/// Why a credential is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialReason {
    /// None was given yet.
    First,
    /// The session ends soon; a fresh credential renews it without a reconnect.
    Expiring {
        /// After which time.
        within: Duration,
    },
    /// The credential that was good is not good any more.
    Expired,
}

/// Why a [`CredentialProvider`] has no credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// Not at the moment, as where the identity provider cannot be reached. It is asked again, backing off.
    #[error("no credential at the moment: {0}")]
    Unavailable(String),
    /// Not any more: the user has to sign in.
    #[error("the user is signed out")]
    SignedOut,
}

/// Gives a fresh credential whenever one is needed.
///
/// Every function from [`CredentialReason`] to such a future is one.
pub trait CredentialProvider: Send + Sync + 'static {
    /// A fresh credential. The future may be dropped before it is done.
    ///
    /// # Errors
    ///
    /// [`CredentialError`] says whether to ask again.
    fn credential(
        &self,
        wanted: CredentialReason,
    ) -> BoxFuture<'_, Result<Credential, CredentialError>>;
}

impl<F, Answer> CredentialProvider for F
where
    F: Fn(CredentialReason) -> Answer + Send + Sync + 'static,
    Answer: Future<Output = Result<Credential, CredentialError>> + Send + 'static,
{
    fn credential(
        &self,
        wanted: CredentialReason,
    ) -> BoxFuture<'_, Result<Credential, CredentialError>> {
        Box::pin(self(wanted))
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
