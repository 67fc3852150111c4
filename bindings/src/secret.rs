//! Assertions, tokens and keys. They are objects, since the records of both languages print all their fields.

use std::sync::Arc;

use presence_client::SecretString;
use secrecy::ExposeSecret;

use crate::live::Live;

/// A text that no log and no `toString` shows, and whose memory is wiped when it goes.
#[derive(Debug, uniffi::Object)]
pub struct Secret {
    text: SecretString,
    _live: Live,
}

impl Secret {
    pub(crate) fn of(text: SecretString) -> Arc<Self> {
        Arc::new(Self { text, _live: Live::new() })
    }

    pub(crate) fn text(&self) -> SecretString {
        self.text.clone()
    }
}

#[uniffi::export]
impl Secret {
    /// Keeps a text.
    #[uniffi::constructor]
    pub fn new(text: String) -> Arc<Self> {
        Self::of(text.into())
    }

    /// The text: for keeping it where the platform keeps secrets.
    pub fn reveal(&self) -> String {
        self.text.expose_secret().to_owned()
    }
}

/// What a user proves themselves with.
#[derive(Debug, Clone, uniffi::Enum)]
pub enum Credential {
    /// An identity assertion, for this server.
    Assertion {
        /// The assertion.
        assertion: Arc<Secret>,
    },
    /// The bearer token of a session, from `PresenceApi.signIn`.
    Token {
        /// The token.
        token: Arc<Secret>,
    },
}

impl From<Credential> for presence_client::Credential {
    fn from(credential: Credential) -> Self {
        match credential {
            Credential::Assertion { assertion } => Self::Assertion(assertion.text()),
            Credential::Token { token } => Self::Token(token.text()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_told_to_who_asks_and_to_nobody_else() {
        let secret = Secret::new("hush".to_owned());
        let credential = Credential::Token { token: Arc::clone(&secret) };
        assert_eq!(secret.reveal(), "hush");
        assert!(!format!("{secret:?} {credential:?}").contains("hush"));
    }
}
