//! OpenID Connect as configured: the verifier, and the task that refreshes the issuers' documents.

use std::sync::Arc;
use std::time::Duration;

use presence_identity::fetch::SetUpError;
use presence_identity::oidc::{DocumentError, Oidc};
use presence_service::PresenceService;
use tokio_util::sync::CancellationToken;

use crate::settings::Settings;

/// The interval of the checks for documents that expire soon.
const REFRESH_INTERVAL: Duration = Duration::from_secs(15);

/// Returns the verifier of ID tokens, or `None` if no issuers are configured.
///
/// # Errors
///
/// If the HTTP client cannot be set up.
pub(crate) fn verifier(settings: &Settings) -> Result<Option<Oidc>, SetUpError> {
    let issuers = settings.oidc_issuers.as_slice();
    if issuers.is_empty() {
        return Ok(None);
    }
    Oidc::with_token_age(issuers, settings.dev, settings.id_token_age()).map(Some)
}

/// Refreshes the issuers' documents until `stop`, so that no sign-in waits for a request, and logs
/// the issuers that become unreachable or reachable.
pub(crate) async fn refresh_documents(
    oidc: Oidc,
    service: Arc<PresenceService>,
    stop: CancellationToken,
) {
    let mut ticks = tokio::time::interval(REFRESH_INTERVAL);
    let mut unreachable: Vec<&str> = Vec::new();
    loop {
        let refreshed = async {
            ticks.tick().await;
            oidc.refresh_if_due(service.now()).await
        };
        let failed = tokio::select! {
            () = stop.cancelled() => return,
            failed = refreshed => failed,
        };
        for (issuer, error) in failed.iter().filter(|(issuer, _)| !unreachable.contains(issuer)) {
            log_unreachable(issuer, *error);
        }
        let now_unreachable: Vec<&str> = failed.into_iter().map(|(issuer, _)| issuer).collect();
        for issuer in unreachable.iter().filter(|issuer| !now_unreachable.contains(issuer)) {
            log_reachable(issuer);
        }
        unreachable = now_unreachable;
    }
}

fn log_unreachable(issuer: &str, error: DocumentError) {
    tracing::warn!(issuer, trouble = %error, "oidc.unreachable");
}

fn log_reachable(issuer: &str) {
    tracing::info!(issuer, "oidc.reachable");
}
