//! OpenID Connect: ID tokens of configured issuers.
//!
//! An issuer is trusted only if it is configured, and only for the configured clients and e-mail
//! domains. The claim `iss` selects among the configured issuers; nothing in a token determines
//! where a key is fetched. The checks run in a fixed order, cheap and offline checks first, so that
//! an invalid token causes neither a network request nor a signature check.
//!
//! [`Oidc`] verifies tokens that devices present; [`CodeFlow`] obtains a token for a browser
//! (authorization code with PKCE). Symmetric algorithms, encrypted tokens, dynamic registration,
//! the implicit flow and the userinfo endpoint are not supported on purpose.

mod code_flow;
mod finished;
mod flow_error;
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
use std::time::Duration;

use async_trait::async_trait;

pub use self::algorithm::JwsAlgorithm;
pub use self::cached_document::DocumentError;
pub use self::code_flow::{AuthorizationResponse, CodeFlow, CompletedSignIn, ResumedSignIn};
pub use self::finished::{FinishError, FinishedSignIn, FinishedSignIns, Recorded, SharedSignIns};
pub use self::flow_error::FlowError;
pub use self::settings::{ClientSecret, IssuerSettings, validate_issuers};

use self::issuer::{Issuer, MAX_TOKEN_AGE, Token};
use crate::fetch::{FetchLimits, GuardOptions, GuardedClient, SetUpError};
use crate::identity::{Identity, IdentityError, Reason, Verifier};

/// The limits of a request to an issuer.
const FETCH_LIMITS: FetchLimits = FetchLimits {
    connect: Duration::from_secs(3),
    total: Duration::from_secs(8),
    body: 256 * 1024,
    concurrent: 128,
};

/// The verifier of ID tokens of the configured issuers. Clones share the cached documents.
#[derive(Clone)]
pub struct Oidc {
    issuers: Arc<[Arc<Issuer>]>,
}

impl Oidc {
    /// Creates a verifier that trusts these issuers, and accepts a token for 15 minutes after its
    /// issue. `development` allows `http` on loopback addresses.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(settings: &[IssuerSettings], development: bool) -> Result<Self, SetUpError> {
        Self::with_token_age(settings, development, MAX_TOKEN_AGE)
    }

    /// Creates a verifier like [`Oidc::new`] that accepts a token for this time after its issue.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn with_token_age(
        settings: &[IssuerSettings],
        development: bool,
        max_token_age: Duration,
    ) -> Result<Self, SetUpError> {
        let client = |internal| {
            let options = GuardOptions {
                allow_http: false,
                allow_loopback: development,
                allow_internal: internal,
            };
            let client = GuardedClient::with_limits(options, FETCH_LIMITS)?;
            Ok(client.for_purpose("oidc_issuer"))
        };
        let issuers = settings
            .iter()
            .map(|one| Ok(Arc::new(Issuer::new(one.clone(), max_token_age, client(one.internal)?))))
            .collect::<Result<_, SetUpError>>()?;
        Ok(Self { issuers })
    }

    /// Refreshes the documents that expire soon, so that no sign-in waits for a request. Meant to
    /// be called every few seconds. Returns the names of the unreachable issuers with the errors.
    pub async fn refresh_if_due(&self, now: UnixMillis) -> Vec<(&str, DocumentError)> {
        let mut unreachable = Vec::new();
        for issuer in self.issuers.iter() {
            if let Err(error) = issuer.refresh_if_due(now).await {
                unreachable.push((issuer.settings().name.as_str(), error));
            }
        }
        unreachable
    }

    /// Checks each issuer. Returns its name with the number of usable keys, or with the error if it
    /// cannot be reached.
    pub async fn check(&self, now: UnixMillis) -> Vec<(&str, Result<usize, DocumentError>)> {
        let mut answers = Vec::new();
        for issuer in self.issuers.iter() {
            answers.push((issuer.settings().name.as_str(), issuer.usable_keys(now).await));
        }
        answers
    }

    /// Returns the issuers, for the code flow.
    fn issuers(&self) -> &[Arc<Issuer>] {
        &self.issuers
    }
}

#[async_trait]
impl Verifier for Oidc {
    async fn verify(&self, proof: &str, now: UnixMillis) -> Result<Identity, IdentityError> {
        let token = Token::read(proof)?;
        let matches = |issuer: &&Arc<Issuer>| issuer.settings().has_identifier(token.issuer());
        let issuer = self.issuers.iter().find(matches).ok_or(Reason::IssuerMismatch)?;
        issuer.verify(token, None, now).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fetch::FetchError;

    #[tokio::test]
    async fn an_internal_issuer_is_reached_only_if_configured_as_internal() {
        const FORBIDDEN: DocumentError = DocumentError::Fetch(FetchError::ForbiddenAddress);
        const PORT: DocumentError = DocumentError::Fetch(FetchError::NotAllowed);
        const REFUSED_CONNECTION: DocumentError = DocumentError::Fetch(FetchError::Connection);
        // No process listens on port 1.
        for (issuer, internal, development, expected) in [
            ("https://127.0.0.1", false, false, FORBIDDEN),
            ("https://localhost", false, false, FORBIDDEN),
            ("https://10.0.0.1", false, false, FORBIDDEN),
            ("https://10.0.0.1", false, true, FORBIDDEN),
            ("https://127.0.0.1:1", false, false, PORT),
            ("https://127.0.0.1:1", false, true, REFUSED_CONNECTION),
            ("https://127.0.0.1:1", true, false, REFUSED_CONNECTION),
        ] {
            let settings = json!({
                "name": "idp", "issuer": issuer, "client_ids": ["me"], "internal": internal,
                "email_domains": ["mail.example"],
            });
            let settings = [serde_json::from_value(settings).unwrap()];
            validate_issuers(&settings, development).unwrap();
            let answers = Oidc::new(&settings, development).unwrap();
            let answers = answers.check(UnixMillis::default()).await;
            assert_eq!(answers, [("idp", Err(expected))], "{issuer} {internal} {development}");
        }
    }
}
