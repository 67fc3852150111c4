//! Signs a browser in: sends it to a provider, and makes an identity of what it brings back
//! (authorization code with PKCE, `state` and `nonce`).
//!
//! What must be remembered in between is sealed into `state` and bound to the browser by a secret
//! that the caller keeps in a cookie.

use presence_core::UnixMillis;
use std::sync::Arc;

use tokio::sync::Semaphore;
use url::{Url, form_urlencoded};

use super::Oidc;
use super::issuer::{Issuer, Token};
use super::metadata::Metadata;
use super::sign_in_state::{self, SignInState, SignInStates};
use super::token_endpoint::{self, CodeExchange, OidcClient};
use crate::identity::{Identity, IdentityError, Reason};

/// What is asked for: who the user is, and the e-mail.
const SCOPE: &str = "openid email";

/// How many codes are redeemed at once. Whoever begins a sign-in can have a code redeemed, good or
/// not.
const MAX_EXCHANGES: usize = 32;

/// Why a browser was not signed in. Holds nothing secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FlowError {
    /// No such provider, or none for browsers.
    #[error("no such provider")]
    UnknownProvider,
    /// This browser has not begun this sign-in, or too long ago, or finished it already.
    #[error("not begun by this browser, too old, or finished already")]
    Stale,
    /// The user or the provider said no.
    #[error("the provider said no")]
    Declined,
    /// The provider did not take the code.
    #[error("the provider did not take the code")]
    CodeRefused,
    /// The provider does not know this server as a client, or not with this secret.
    #[error("the provider refuses the client: look at client_ids and client_secret")]
    ClientRefused,
    /// The provider answered as another.
    #[error("the response is another provider's")]
    MixedUp,
    /// The ID token proves nothing.
    #[error("the ID token is not valid: {0}")]
    Invalid(Reason),
    /// The provider cannot be reached.
    #[error("the provider cannot be reached")]
    Unavailable,
    /// Too many are asking.
    #[error("too many are asking")]
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

/// What a browser brings back from a provider.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct AuthorizationResponse {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

impl AuthorizationResponse {
    /// Reads the query. A parameter that comes twice is none.
    pub fn from_query(query: &str) -> Self {
        let one = |wanted: &str| {
            let mut found = form_urlencoded::parse(query.as_bytes())
                .filter(|(name, _)| name == wanted)
                .map(|(_, value)| value.into_owned());
            let first = found.next();
            if found.next().is_some() { None } else { first }
        };
        Self { code: one("code"), state: one("state"), iss: one("iss"), error: one("error") }
    }
}

/// A browser that is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletedSignIn {
    /// Who it is.
    pub identity: Identity,
    /// Where it wanted to go.
    pub return_path: String,
}

/// Signs browsers in.
pub struct CodeFlow {
    oidc: Oidc,
    states: SignInStates,
    exchanges: Semaphore,
    /// Where this server is reached, without a slash at the end.
    origin: String,
}

impl CodeFlow {
    /// The path at which a sign-in begins, followed by the name of a provider; it ends at
    /// `callback` below that.
    pub const PATH: &str = "/sign-in/oidc";

    /// Signs browsers in that reach this server at `origin`.
    ///
    /// # Errors
    /// If there is no randomness.
    pub fn new(oidc: Oidc, origin: &str) -> Result<Self, FlowError> {
        let states = SignInStates::new().map_err(|_| FlowError::Unavailable)?;
        let exchanges = Semaphore::new(MAX_EXCHANGES);
        Ok(Self { oidc, states, exchanges, origin: origin.to_owned() })
    }

    /// The providers that can be chosen from, in the operator's order: the name in addresses, and
    /// the name for people.
    pub fn providers(&self) -> impl Iterator<Item = (&str, &str)> {
        let offered = self.oidc.issuers().iter().map(|issuer| issuer.settings());
        offered
            .filter(|settings| settings.sign_in)
            .map(|settings| (settings.name.as_str(), settings.title()))
    }

    /// A new secret for a browser's cookie.
    ///
    /// # Errors
    /// If there is no randomness.
    pub fn browser_secret() -> Result<String, FlowError> {
        sign_in_state::random_secret().map_err(|_| FlowError::Unavailable)
    }

    /// Where to send a browser that wants to be signed in by a provider and then to go to
    /// `return_path`.
    ///
    /// # Errors
    /// [`FlowError::UnknownProvider`]; or if the provider cannot be reached.
    pub async fn begin(
        &self,
        provider: &str,
        return_path: &str,
        browser: &str,
        now: UnixMillis,
    ) -> Result<Url, FlowError> {
        let issuer = self.issuer(provider)?;
        let metadata = issuer.metadata(now).await?;
        let sign_in = SignInState::new(return_path, now).map_err(|_| FlowError::Unavailable)?;
        let binding = binding(provider, browser);
        let state = self.states.seal(&sign_in, &binding).ok_or(FlowError::Unavailable)?;
        let endpoint = metadata.authorization_endpoint.as_ref().ok_or(FlowError::Unavailable)?;
        let mut url = endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", client_id(issuer))
            .append_pair("redirect_uri", &self.redirect_uri(provider))
            .append_pair("scope", SCOPE)
            .append_pair("state", &state)
            .append_pair("nonce", &sign_in.nonce())
            .append_pair("code_challenge", &sign_in.challenge())
            .append_pair("code_challenge_method", "S256");
        if let Some(seconds) = issuer.settings().max_age_seconds {
            url.query_pairs_mut().append_pair("max_age", &seconds.to_string());
        }
        Ok(url)
    }

    /// Makes an identity of what a browser brought back.
    ///
    /// # Errors
    /// As [`FlowError`] says.
    pub async fn finish(
        &self,
        provider: &str,
        response: &AuthorizationResponse,
        browser: Option<&str>,
        now: UnixMillis,
    ) -> Result<CompletedSignIn, FlowError> {
        let issuer = self.issuer(provider)?;
        let (Some(state), Some(browser)) = (&response.state, browser) else {
            return Err(FlowError::Stale);
        };
        let binding = binding(provider, browser);
        let sign_in = self.states.open(state, &binding, now).ok_or(FlowError::Stale)?;
        let metadata = issuer.metadata(now).await?;
        check_issuer_parameter(issuer, &metadata, response)?;
        if response.error.is_some() {
            return Err(FlowError::Declined);
        }
        let code = response.code.as_deref().ok_or(FlowError::Declined)?;
        let exchange = CodeExchange {
            code,
            redirect_uri: &self.redirect_uri(provider),
            verifier: &sign_in.verifier(),
        };
        let token = self.exchange_code(issuer, &metadata, &exchange).await?;
        let token = Token::read(&token).map_err(FlowError::Invalid)?;
        let identity = issuer.verify(token, Some(&sign_in.nonce()), now).await?;
        Ok(CompletedSignIn { identity, return_path: sign_in.return_path })
    }

    async fn exchange_code(
        &self,
        issuer: &Issuer,
        metadata: &Metadata,
        exchange: &CodeExchange<'_>,
    ) -> Result<String, FlowError> {
        let _permit = self.exchanges.try_acquire().map_err(|_full| FlowError::Busy)?;
        let endpoint = metadata.token_endpoint.as_ref().ok_or(FlowError::Unavailable)?;
        let client = OidcClient {
            id: client_id(issuer),
            secret: issuer.settings().client_secret.as_ref(),
            secret_in_form: metadata.secret_in_form,
        };
        token_endpoint::exchange_code(issuer.client(), endpoint, &client, exchange).await
    }

    fn issuer(&self, provider: &str) -> Result<&Arc<Issuer>, FlowError> {
        let offered =
            |issuer: &&Arc<Issuer>| issuer.settings().sign_in && issuer.settings().name == provider;
        self.oidc.issuers().iter().find(offered).ok_or(FlowError::UnknownProvider)
    }

    /// Where the provider sends the browser back to: to be registered there.
    fn redirect_uri(&self, provider: &str) -> String {
        format!("{}{}/{provider}/callback", self.origin, Self::PATH)
    }
}

/// Refuses an response of another provider (RFC 9207).
fn check_issuer_parameter(
    issuer: &Issuer,
    metadata: &Metadata,
    response: &AuthorizationResponse,
) -> Result<(), FlowError> {
    match &response.iss {
        Some(iss) if issuer.settings().has_identifier(iss) => Ok(()),
        None if !metadata.sends_issuer_parameter => Ok(()),
        Some(_) | None => Err(FlowError::MixedUp),
    }
}

fn client_id(issuer: &Issuer) -> &str {
    issuer.settings().client_ids.first().map_or("", String::as_str)
}

/// Whose a sign_in is: of this browser, for this provider.
fn binding(provider: &str, browser: &str) -> String {
    format!("{provider} {browser}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_comes_twice_is_none() {
        let response = AuthorizationResponse::from_query(
            "code=a&state=b&state=c&iss=https%3A%2F%2Fidp.example",
        );
        let expected = AuthorizationResponse {
            code: Some("a".to_owned()),
            iss: Some("https://idp.example".to_owned()),
            ..AuthorizationResponse::default()
        };
        assert_eq!(response, expected);
    }
}
