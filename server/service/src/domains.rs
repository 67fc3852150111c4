//! Whether a domain shows the key of its Application.

use presence_core::UserId;
use presence_core::model::{App, ApplicationState};
use presence_identity::fetch::FetchError;
use presence_protocol::{ApiError, AppId, Errno};
use url::Url;

use crate::refusal::of_store;
use crate::service::PresenceService;
use crate::{rules, secret};

/// Where a domain shows its key.
pub const DOMAIN_PROOF_PATH: &str = "/__presence";

/// Why a domain is not verified: what its owner can act on, and nothing that its page said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DomainProofError {
    /// There was no answer that may be read.
    #[error(transparent)]
    Unreachable(#[from] FetchError),
    /// The answer had another status than 200.
    #[error("the page answered status {0}")]
    Status(u16),
    /// The answer was no UTF-8.
    #[error("the page is not a text")]
    NotText,
    /// The answer was another text than the key.
    #[error("the page does not hold the domain key")]
    OtherText,
    /// Another domain, or another key, was set while this one was looked at.
    #[error("the application was changed meanwhile")]
    Changed,
}

/// Why an Application was not verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyDomainError {
    /// It could not even be tried.
    #[error(transparent)]
    Refused(#[from] ApiError),
    /// The domain does not show the key.
    #[error(transparent)]
    NotProven(#[from] DomainProofError),
}

impl From<VerifyDomainError> for ApiError {
    fn from(error: VerifyDomainError) -> Self {
        match error {
            VerifyDomainError::Refused(ko) => ko,
            VerifyDomainError::NotProven(reason) => {
                Self::detailed(Errno::DomainNotVerified, reason)
            }
        }
    }
}

impl PresenceService {
    /// Looks whether the Application's domain shows its key.
    ///
    /// # Errors
    ///
    /// As [`PresenceService::own_app`], `slow_down`, and `domain_not_verified` with the reason.
    pub async fn verify_app(&self, owner: UserId, app: AppId) -> Result<App, VerifyDomainError> {
        let app = self.own_app(owner, app).await?;
        if app.state != ApplicationState::Registered {
            return Ok(app);
        }
        self.rates.verify_domain(app.id)?;
        let shown = self.shown_by(&app.domain).await?;
        if !secret::same(shown.trim().as_bytes(), app.domain_key.as_bytes()) {
            return Err(DomainProofError::OtherText.into());
        }
        if !self.store.mark_verified(app.id, &app.domain_key).await.map_err(of_store)? {
            return Err(DomainProofError::Changed.into());
        }
        Ok(App { state: ApplicationState::Verified, ..app })
    }

    /// Where a domain shows its key, as a URL.
    pub fn proof_url(&self, domain: &str) -> Option<Url> {
        let local = self.settings.development && rules::is_loopback(domain);
        let scheme = if local || self.settings.domain_http { "http" } else { "https" };
        Url::parse(&format!("{scheme}://{domain}{DOMAIN_PROOF_PATH}")).ok()
    }

    /// What the domain's page shows.
    async fn shown_by(&self, domain: &str) -> Result<String, DomainProofError> {
        let url = self.proof_url(domain).ok_or(FetchError::NotAllowed)?;
        let page = self.fetch.get(&url).await?;
        if page.status != 200 {
            return Err(DomainProofError::Status(page.status));
        }
        String::from_utf8(page.body).map_err(|_| DomainProofError::NotText)
    }
}
