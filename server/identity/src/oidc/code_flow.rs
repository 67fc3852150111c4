//! The sign-in of a browser: the redirect to a provider, and the verification of the response
//! (authorization code with PKCE, `state` and `nonce`).
//!
//! The data of an unfinished sign-in is encrypted into `state` and bound to the browser by a secret
//! that the caller stores in a cookie.

use presence_core::UnixMillis;
use presence_core::expiring_map::Moment;
use std::sync::Arc;

use tokio::sync::Semaphore;
use url::{Url, form_urlencoded};

use super::Oidc;
use super::finished::{FinishError, SharedSignIns};
use super::flow_error::FlowError;
use super::issuer::{Issuer, Token};
use super::metadata::Metadata;
use super::sign_in_state::{self, OpenedState, SignInState, SignInStates};
use super::token_endpoint::{self, CodeExchange, OidcClient};
use crate::identity::Identity;

/// The requested scope: the user's identity and the e-mail.
const SCOPE: &str = "openid email";

/// The maximum number of concurrent token requests. Any client that begins a sign-in can cause one.
const MAX_EXCHANGES: usize = 32;

/// The parameters with which a provider redirects a browser back (RFC 6749, section 4.1.2).
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct AuthorizationResponse {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

impl AuthorizationResponse {
    /// Parses a query. A repeated parameter counts as absent.
    pub fn from_query(query: &str) -> Self {
        let single = |parameter: &str| {
            let mut found = form_urlencoded::parse(query.as_bytes())
                .filter(|(name, _)| name == parameter)
                .map(|(_, value)| value.into_owned());
            let first = found.next();
            if found.next().is_some() { None } else { first }
        };
        Self {
            code: single("code"),
            state: single("state"),
            iss: single("iss"),
            error: single("error"),
        }
    }
}

/// The result of a sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletedSignIn {
    /// The verified user.
    pub identity: Identity,
    /// The path to which the browser is redirected.
    pub return_path: String,
}

/// A sign-in that came back to the browser that had begun it.
pub struct ResumedSignIn<'a> {
    issuer: &'a Issuer,
    opened: OpenedState<'a>,
    code: String,
    iss: Option<String>,
}

/// The sign-in of browsers with an authorization code.
pub struct CodeFlow {
    oidc: Oidc,
    states: SignInStates,
    exchanges: Semaphore,
    /// The public origin of this server, without a slash at the end.
    origin: String,
}

impl CodeFlow {
    /// The prefix of all paths of sign-ins: `PATH/<provider>` begins one, and
    /// `PATH/<provider>/callback` completes it.
    pub const PATH: &str = "/sign-in/oidc";

    /// Creates the code flow of a server with this public origin. `shared` is what it has in common
    /// with other servers.
    ///
    /// # Errors
    /// If the operating system provides no random bytes.
    pub fn new(oidc: Oidc, origin: &str, shared: Option<SharedSignIns>) -> Result<Self, FlowError> {
        let states = SignInStates::new(shared).map_err(|_| FlowError::Unavailable)?;
        let exchanges = Semaphore::new(MAX_EXCHANGES);
        Ok(Self { oidc, states, exchanges, origin: origin.to_owned() })
    }

    /// Returns the offered providers in the configured order: the name in URLs, and the title.
    pub fn providers(&self) -> impl Iterator<Item = (&str, &str)> {
        let offered = self.oidc.issuers().iter().map(|issuer| issuer.settings());
        offered
            .filter(|settings| settings.sign_in)
            .map(|settings| (settings.name.as_str(), settings.title()))
    }

    /// Returns a new secret for a browser's cookie.
    ///
    /// # Errors
    /// If the operating system provides no random bytes.
    pub fn browser_secret() -> Result<String, FlowError> {
        sign_in_state::random_secret().map_err(|_| FlowError::Unavailable)
    }

    /// Begins a sign-in that leads to `return_path`. Returns the URL of the provider to which the
    /// browser is redirected.
    ///
    /// # Errors
    /// [`FlowError::UnknownProvider`], or an error if the provider cannot be reached.
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

    /// Checks that a response belongs to a sign-in that this browser has begun. Nothing else is
    /// checked, and no request is sent. Any site can make a browser send a response that fails
    /// here.
    ///
    /// # Errors
    /// [`FlowError::UnknownProvider`], [`FlowError::Stale`], [`FlowError::Declined`].
    pub fn resume(
        &self,
        provider: &str,
        response: AuthorizationResponse,
        browser: Option<&str>,
        now: UnixMillis,
    ) -> Result<ResumedSignIn<'_>, FlowError> {
        let issuer = self.issuer(provider)?;
        let (Some(state), Some(browser)) = (&response.state, browser) else {
            return Err(FlowError::Stale);
        };
        let binding = binding(provider, browser);
        let opened = self.states.open(state, &binding, now).ok_or(FlowError::Stale)?;
        let AuthorizationResponse { code: Some(code), iss, error: None, .. } = response else {
            return Err(FlowError::Declined);
        };
        Ok(ResumedSignIn { issuer, opened, code, iss })
    }

    /// Completes a sign-in: exchanges the code and verifies the ID token.
    ///
    /// # Errors
    /// See [`FlowError`].
    pub async fn finish(
        &self,
        resumed: ResumedSignIn<'_>,
        moment: Moment,
    ) -> Result<CompletedSignIn, FlowError> {
        let ResumedSignIn { issuer, opened, code, iss } = resumed;
        let sign_in = opened.state();
        let metadata = issuer.metadata(moment.now).await?;
        check_issuer_parameter(issuer, &metadata, iss.as_deref())?;
        let exchange = CodeExchange {
            code: &code,
            redirect_uri: &self.redirect_uri(&issuer.settings().name),
            verifier: &sign_in.verifier(),
        };
        let token = self.exchange_code(issuer, &metadata, &exchange).await?;
        let token = Token::read(&token).map_err(FlowError::Invalid)?;
        let identity = issuer.verify(token, Some(&sign_in.nonce()), moment.now).await?;
        let return_path = sign_in.return_path.clone();
        opened.finish(&identity.email, moment).await.map_err(|error| match error {
            FinishError::AlreadyFinished => FlowError::Stale,
            FinishError::Full => FlowError::Busy,
            FinishError::Unavailable => FlowError::Unavailable,
        })?;
        Ok(CompletedSignIn { identity, return_path })
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

    /// Returns the redirect URI, which the operator registers at the provider.
    fn redirect_uri(&self, provider: &str) -> String {
        format!("{}{}/{provider}/callback", self.origin, Self::PATH)
    }
}

/// Rejects a response of another provider (RFC 9207).
fn check_issuer_parameter(
    issuer: &Issuer,
    metadata: &Metadata,
    iss: Option<&str>,
) -> Result<(), FlowError> {
    match iss {
        Some(iss) if issuer.settings().has_identifier(iss) => Ok(()),
        None if !metadata.sends_issuer_parameter => Ok(()),
        Some(_) | None => Err(FlowError::MixedUp),
    }
}

fn client_id(issuer: &Issuer) -> &str {
    issuer.settings().client_ids.first().map_or("", String::as_str)
}

/// Returns the binding of a state: this browser, for this provider.
fn binding(provider: &str, browser: &str) -> String {
    format!("{provider} {browser}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_parameter_counts_as_absent() {
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
