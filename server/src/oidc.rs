//! From the settings to OpenID Connect: the verifier, the sign-in of browsers, and fresh documents of the issuers.

use std::sync::Arc;
use std::time::Duration;

use presence_identity::fetch::SetUpError;
use presence_identity::oidc::{CodeFlow, FlowError, Oidc, Trouble};
use presence_service::PresenceService;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::settings::Settings;

/// How often it is looked whether a document of an issuer is about to be too old.
const OFTEN: Duration = Duration::from_secs(15);

/// The verifier of ID tokens, where there are issuers.
///
/// # Errors
///
/// If the HTTP client cannot be set up.
pub(crate) fn verifier(settings: &Settings) -> Result<Option<Oidc>, SetUpError> {
    let issuers = settings.oidc_issuers.as_slice();
    if issuers.is_empty() {
        return Ok(None);
    }
    Oidc::new(issuers, settings.dev).map(Some)
}

/// The sign-in of browsers that reach the server at this address.
///
/// # Errors
///
/// If there is no randomness.
pub(crate) fn code_flow(
    oidc: Option<&Oidc>,
    public_url: &Url,
) -> Result<Option<CodeFlow>, FlowError> {
    let origin = public_url.origin().ascii_serialization();
    oidc.map(|oidc| CodeFlow::new(oidc.clone(), &origin)).transpose()
}

/// Keeps the issuers' documents fresh until it is told to stop, so that no sign-in waits for them, and says which issuers do not answer.
pub(crate) async fn tend(oidc: Oidc, presence: Arc<PresenceService>, stop: CancellationToken) {
    let mut often = tokio::time::interval(OFTEN);
    let mut before: Vec<&str> = Vec::new();
    loop {
        let tended = async {
            often.tick().await;
            oidc.tend(presence.now()).await
        };
        let silent = tokio::select! {
            () = stop.cancelled() => return,
            silent = tended => silent,
        };
        for (issuer, trouble) in silent.iter().filter(|(issuer, _)| !before.contains(issuer)) {
            say_unreachable(issuer, *trouble);
        }
        let names: Vec<&str> = silent.into_iter().map(|(issuer, _)| issuer).collect();
        for issuer in before.iter().filter(|issuer| !names.contains(issuer)) {
            say_reachable(issuer);
        }
        before = names;
    }
}

fn say_unreachable(issuer: &str, trouble: Trouble) {
    tracing::warn!(issuer, %trouble, "oidc.unreachable");
}

fn say_reachable(issuer: &str) {
    tracing::info!(issuer, "oidc.reachable");
}
