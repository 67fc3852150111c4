//! The task that asks the credential provider whenever the channel needs a credential.

use std::sync::Arc;

use tokio::time::{Instant, sleep};

use super::protocol::DeviceProtocol;
use crate::channel::{Backoff, Jitter, SharedState};
use crate::credential::{Credential, CredentialError, CredentialProvider, CredentialReason};
use crate::timing::Timing;

/// Answers the requests of a channel for credentials, for as long as the future is polled.
pub(super) async fn run(
    shared: &SharedState<DeviceProtocol>,
    provider: &Arc<dyn CredentialProvider>,
    timing: &Timing,
    jitter: Jitter,
) {
    let mut backoff = Backoff::new(timing, jitter);
    let mut given_at: Option<Instant> = None;
    loop {
        let reason = shared.wait_in_app(|protocol| protocol.credential_request()).await;
        if let (CredentialReason::Expiring { within }, Some(given_at)) = (reason, given_at)
            && given_at.elapsed() < within
        {
            // The session is shorter than the notice before its end. Do not renew it all the time.
            sleep(within / 2).await;
        }
        match ask(shared, provider, reason).await {
            None => {}
            Some(Ok(credential)) => {
                backoff.reset();
                given_at = Some(Instant::now());
                shared.update_from_app(|protocol| protocol.set_credential(credential));
            }
            Some(Err(CredentialError::SignedOut)) => {
                shared.update_from_task(DeviceProtocol::sign_out);
            }
            Some(Err(CredentialError::Unavailable(_))) => sleep(backoff.after_failure(None)).await,
        }
    }
}

/// Asks the provider. Returns `None` if the application gives a credential first.
async fn ask(
    shared: &SharedState<DeviceProtocol>,
    provider: &Arc<dyn CredentialProvider>,
    reason: CredentialReason,
) -> Option<Result<Credential, CredentialError>> {
    let no_request = |protocol: &mut DeviceProtocol| match protocol.credential_request() {
        None => Some(()),
        Some(_) => None,
    };
    let answer = tokio::select! {
        answer = provider.credential(reason) => answer,
        () = shared.wait_in_app(no_request) => return None,
    };
    if let Err(error) = &answer {
        tracing::info!(%error, "the credential provider has no credential");
    }
    Some(answer)
}
