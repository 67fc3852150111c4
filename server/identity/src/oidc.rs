//! OpenID Connect: ID tokens of configured issuers.
//!
//! An issuer is believed only if the operator named it, for the clients and the e-mail domains that
//! the operator named. The token's own `iss` chooses among them and nothing in a token ever says
//! where to fetch a key. The checks are in one fixed order, cheap and offline first, so that a
//! stranger reaches neither the network nor a signature check with a token that could not pass
//! anyway.
//!
//! [`Oidc`] verifies tokens that devices bring; [`CodeFlow`] gets one for a browser (authorization
//! code with PKCE). Deliberately without symmetric algorithms, encrypted tokens, dynamic
//! registration, implicit flow and userinfo.

mod code_flow;
mod token_endpoint;

mod issuer;

mod claims;
mod issuer_keys;
mod key_set_source;

mod cached_document;
mod key_set;
mod metadata;

mod public_key;

mod settings;

mod algorithm;
mod sign_in_state;

#[cfg(test)]
mod test_signer;
#[cfg(test)]
mod vectors;

use presence_core::UnixMillis;
use std::sync::Arc;

use async_trait::async_trait;

pub use self::algorithm::JwsAlgorithm;
pub use self::cached_document::DocumentError;
pub use self::code_flow::{AuthorizationResponse, CodeFlow, CompletedSignIn, FlowError};
pub use self::settings::{ClientSecret, IssuerSettings, validate_issuers};

use self::issuer::{Issuer, Token};
use crate::fetch::{FetchLimits, GuardOptions, GuardedClient, SetUpError};
use crate::identity::{Identity, IdentityError, Reason, Verifier};

/// How much time and room a question to an issuer has.
const FETCH_LIMITS: FetchLimits = FetchLimits {
    connect: std::time::Duration::from_secs(3),
    total: std::time::Duration::from_secs(8),
    body: 256 * 1024,
};

/// Verifies ID tokens of the configured issuers. Clones share what is remembered of the issuers.
#[derive(Clone)]
pub struct Oidc {
    issuers: Arc<[Arc<Issuer>]>,
}

impl Oidc {
    /// Believes these issuers. `development` allows `http` on loopback addresses.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(settings: &[IssuerSettings], development: bool) -> Result<Self, SetUpError> {
        let client = |internal| {
            let options = GuardOptions {
                allow_http: false,
                allow_loopback: development,
                allow_internal: internal,
            };
            GuardedClient::with_limits(options, FETCH_LIMITS)
        };
        let issuers = settings
            .iter()
            .map(|one| Ok(Arc::new(Issuer::new(one.clone(), client(one.internal)?))))
            .collect::<Result<_, SetUpError>>()?;
        Ok(Self { issuers })
    }

    /// Asks the issuers again whose documents are about to be too old, so that no sign-in has to
    /// wait for that. To be called every some seconds; the names of the issuers that do not answer
    /// come back, and why they do not.
    pub async fn refresh_if_due(&self, now: UnixMillis) -> Vec<(&str, DocumentError)> {
        let mut silent = Vec::new();
        for issuer in self.issuers.iter() {
            if let Err(error) = issuer.refresh_if_due(now).await {
                silent.push((issuer.settings().name.as_str(), error));
            }
        }
        silent
    }

    /// Whether each issuer can be reached and has keys: the name of the issuer, and how many keys
    /// can be used, or why none.
    pub async fn check(&self, now: UnixMillis) -> Vec<(&str, Result<usize, DocumentError>)> {
        let mut answers = Vec::new();
        for issuer in self.issuers.iter() {
            answers.push((issuer.settings().name.as_str(), issuer.usable_keys(now).await));
        }
        answers
    }

    /// The issuers, for the flow that gets a browser its token.
    fn issuers(&self) -> &[Arc<Issuer>] {
        &self.issuers
    }
}

#[async_trait]
impl Verifier for Oidc {
    async fn verify(&self, slot: &str, now: UnixMillis) -> Result<Identity, IdentityError> {
        let token = Token::read(slot)?;
        let speaks = |issuer: &&Arc<Issuer>| issuer.settings().has_identifier(token.issuer());
        let issuer = self.issuers.iter().find(speaks).ok_or(Reason::IssuerMismatch)?;
        issuer.verify(token, None, now).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fetch::FetchError;

    #[tokio::test]
    async fn an_issuer_is_public_unless_the_operator_says_that_it_is_not() {
        const FORBIDDEN: DocumentError = DocumentError::Fetch(FetchError::ForbiddenAddress);
        const PORT: DocumentError = DocumentError::Fetch(FetchError::NotAllowed);
        const NOBODY: DocumentError = DocumentError::Fetch(FetchError::Connection);
        // On port 1 nobody listens.
        for (issuer, internal, development, expected) in [
            ("https://127.0.0.1", false, false, FORBIDDEN),
            ("https://localhost", false, false, FORBIDDEN),
            ("https://10.0.0.1", false, false, FORBIDDEN),
            ("https://10.0.0.1", false, true, FORBIDDEN),
            ("https://127.0.0.1:1", false, false, PORT),
            ("https://127.0.0.1:1", false, true, NOBODY),
            ("https://127.0.0.1:1", true, false, NOBODY),
        ] {
            let described = json!({
                "name": "idp", "issuer": issuer, "client_ids": ["me"], "internal": internal,
                "email_domains": ["mail.example"],
            });
            let settings = [serde_json::from_value(described).unwrap()];
            validate_issuers(&settings, development).unwrap();
            let answers = Oidc::new(&settings, development).unwrap();
            let answers = answers.check(UnixMillis::default()).await;
            assert_eq!(answers, [("idp", Err(expected))], "{issuer} {internal} {development}");
        }
    }
}
