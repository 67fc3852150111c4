//! Assertions, tokens and API keys. They are objects, because the records of all languages print
//! all their fields.

use std::sync::Arc;

use presence_client::SecretString;
use secrecy::ExposeSecret;

use crate::object_count::CountedObject;

/// A secret text. No log and no `toString` shows it, and its memory is erased when it is freed.
#[derive(Debug, uniffi::Object)]
pub struct Secret {
    text: SecretString,
    _counted: CountedObject,
}

impl Secret {
    pub(crate) fn from_secret(text: SecretString) -> Arc<Self> {
        Arc::new(Self { text, _counted: CountedObject::new() })
    }

    pub(crate) fn text(&self) -> SecretString {
        self.text.clone()
    }
}

#[uniffi::export]
impl Secret {
    /// Creates a secret from a text.
    #[uniffi::constructor]
    pub fn new(text: String) -> Arc<Self> {
        Self::from_secret(text.into())
    }

    /// Returns the text, so that the app can keep it in the secure storage of the platform.
    pub fn reveal(&self) -> String {
        self.text.expose_secret().to_owned()
    }
}

/// A proof of the identity of the user.
#[derive(Debug, Clone, uniffi::Enum)]
pub enum Credential {
    /// An identity assertion for this server.
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

impl From<presence_client::Credential> for Credential {
    fn from(credential: presence_client::Credential) -> Self {
        match credential {
            presence_client::Credential::Assertion(text) => {
                Self::Assertion { assertion: Secret::from_secret(text) }
            }
            presence_client::Credential::Token(text) => {
                Self::Token { token: Secret::from_secret(text) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reveal_returns_the_text_of_a_secret() {
        let secret = Secret::new("hush".to_owned());
        let credential = Credential::Token { token: Arc::clone(&secret) };
        assert_eq!(secret.reveal(), "hush");
        assert!(!format!("{secret:?} {credential:?}").contains("hush"));
    }
}
