//! The task that calls the credential provider whenever the channel needs a credential.

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
    let mut last_set_at: Option<Instant> = None;
    loop {
        let reason = shared.wait_as_app(|protocol| protocol.credential_request()).await;
        if let (CredentialReason::Expiring { within }, Some(last_set_at)) = (reason, last_set_at)
            && last_set_at.elapsed() < within
        {
            // A session that is shorter than the notice is announced as ending at once. The wait
            // keeps it from being renewed without a pause.
            sleep(within / 2).await;
        }
        match request_credential(shared, provider, reason).await {
            None => {}
            Some(Ok(credential)) => {
                backoff.reset();
                last_set_at = Some(Instant::now());
                shared.update_as_app(|protocol| protocol.set_credential(credential));
            }
            Some(Err(CredentialError::SignedOut)) => {
                shared.update_as_task(DeviceProtocol::sign_out);
            }
            Some(Err(CredentialError::Unavailable(_))) => sleep(backoff.after_failure(None)).await,
        }
    }
}

/// Requests a credential from the provider. Returns `None` if the application sets one first.
async fn request_credential(
    shared: &SharedState<DeviceProtocol>,
    provider: &Arc<dyn CredentialProvider>,
    reason: CredentialReason,
) -> Option<Result<Credential, CredentialError>> {
    let no_request = |protocol: &mut DeviceProtocol| match protocol.credential_request() {
        None => Some(()),
        Some(_) => None,
    };
    let result = tokio::select! {
        result = provider.credential(reason) => result,
        () = shared.wait_as_app(no_request) => return None,
    };
    if let Err(error) = &result {
        tracing::info!(%error, "the credential provider has no credential");
    }
    Some(result)
}
