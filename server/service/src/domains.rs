//! Verifies that the domain of an Application shows the Application's key.

use std::sync::Arc;

use presence_core::model::{App, ApplicationState};
use presence_core::{Clock, UserId};
use presence_identity::fetch::{FetchError, GuardedClient};
use presence_protocol::{ApiError, AppId, Errno};
use presence_store::Store;
use url::Url;

use crate::errors::from_store;
use crate::ownership::find_owned;
use crate::rates::KeyedRateLimiter;
use crate::settings::ServiceSettings;
use crate::{rules, secret};

/// The seconds after which a verification may be tried again for which there was no room.
const BUSY_RETRY: f64 = 1.0;
/// The path at which a domain shows its key.
pub const DOMAIN_PROOF_PATH: &str = "/__presence";

/// The reason why a domain is not verified: something that its owner can act on, without the text
/// of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DomainProofError {
    /// The page could not be fetched.
    #[error(transparent)]
    Unreachable(#[from] FetchError),
    /// The page was answered with another status than 200.
    #[error("the page answered status {0}")]
    Status(u16),
    /// The page is no UTF-8.
    #[error("the page is not a text")]
    NotText,
    /// The page is another text than the key.
    #[error("the page does not hold the domain key")]
    OtherText,
    /// The domain or the key was changed during the verification.
    #[error("the application was changed meanwhile")]
    Changed,
}

/// The reason why an Application was not verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyDomainError {
    /// The domain was not looked at.
    #[error(transparent)]
    Refused(#[from] ApiError),
    /// The domain does not show the key. The text names the page that was fetched, if there is one.
    #[error("{reason}{}", shown(.page.as_ref()))]
    NotProven {
        /// The reason.
        reason: DomainProofError,
        /// The page.
        page: Option<Url>,
    },
}

fn shown(page: Option<&Url>) -> String {
    page.map(|page| format!(" ({page})")).unwrap_or_default()
}

impl From<VerifyDomainError> for ApiError {
    fn from(error: VerifyDomainError) -> Self {
        match error {
            VerifyDomainError::Refused(error) => error,
            VerifyDomainError::NotProven { .. } => Self::detailed(Errno::DomainNotVerified, error),
        }
    }
}

/// The verification of domains.
pub struct Domains {
    store: Store,
    client: GuardedClient,
    /// The rates of verifications, each of which makes this server call an address that the
    /// developer chose: of a developer, and of a host.
    developers: KeyedRateLimiter<UserId>,
    hosts: KeyedRateLimiter<String>,
    development: bool,
    allows_http: bool,
}

impl Domains {
    pub(crate) fn new(
        store: Store,
        client: GuardedClient,
        clock: Arc<dyn Clock>,
        settings: &ServiceSettings,
    ) -> Self {
        Self {
            store,
            client,
            developers: KeyedRateLimiter::new(settings.verification_rate, Arc::clone(&clock)),
            hosts: KeyedRateLimiter::new(settings.verification_rate, clock),
            development: settings.development,
            allows_http: settings.domain_http,
        }
    }

    /// Verifies that the domain of an Application shows its key.
    ///
    /// # Errors
    ///
    /// `unknown_application`, `slow_down`, `storage_unavailable`, and `domain_not_verified` with
    /// the reason.
    pub async fn verify(&self, owner: UserId, app: AppId) -> Result<App, VerifyDomainError> {
        let app = find_owned(&self.store, owner, app).await?;
        if app.state != ApplicationState::Registered {
            return Ok(app);
        }
        let page = self.proof_url(&app.domain);
        let not_proven = |reason| VerifyDomainError::NotProven { reason, page: page.clone() };
        self.hosts.check(&app.domain)?;
        let counted = self.developers.check(&owner);
        counted.inspect_err(|_| self.hosts.give_back(&app.domain))?;
        let shown = match self.fetch_proof(page.as_ref()).await {
            Err(DomainProofError::Unreachable(FetchError::Busy)) => {
                return Err(ApiError::slow_down(BUSY_RETRY).into());
            }
            shown => shown.map_err(not_proven)?,
        };
        if !secret::equal_in_constant_time(shown.trim().as_bytes(), app.domain_key.as_bytes()) {
            return Err(not_proven(DomainProofError::OtherText));
        }
        if !self.store.mark_verified(app.id, &app.domain_key).await.map_err(from_store)? {
            return Err(not_proven(DomainProofError::Changed));
        }
        Ok(App { state: ApplicationState::Verified, ..app })
    }

    /// Returns the URL at which a domain shows its key.
    pub fn proof_url(&self, domain: &str) -> Option<Url> {
        let is_local = self.development && rules::is_loopback(domain);
        let scheme = if is_local || self.allows_http { "http" } else { "https" };
        Url::parse(&format!("{scheme}://{domain}{DOMAIN_PROOF_PATH}")).ok()
    }

    /// Forgets the developers and hosts for whom the full rate is free again.
    pub(crate) fn prune(&self) {
        self.developers.prune();
        self.hosts.prune();
    }

    async fn fetch_proof(&self, page: Option<&Url>) -> Result<String, DomainProofError> {
        let page = self.client.get(page.ok_or(FetchError::NotAllowed)?).await?;
        if page.status != 200 {
            return Err(DomainProofError::Status(page.status));
        }
        String::from_utf8(page.body).map_err(|_| DomainProofError::NotText)
    }
}
