//! The task that calls the credential provider whenever the channel needs a credential.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, sleep_until};

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
    loop {
        let reason = shared.wait_for_change(|protocol| protocol.credential_request()).await;
        let hints = shared.hints();
        match request_credential(shared, provider, reason).await {
            None => {}
            Some(Ok(credential)) => {
                backoff.reset();
                shared.update_as_app(|protocol| protocol.set_credential(credential));
                shared.notify_app();
            }
            Some(Err(CredentialError::SignedOut)) => {
                shared.update_as_task(DeviceProtocol::sign_out);
            }
            Some(Err(CredentialError::Unavailable(_))) => {
                let wait = backoff.after_failure(None);
                let soon = backoff.after_hint();
                tokio::select! {
                    () = wait_before_retry(shared, wait, soon, hints) => {}
                    () = request_changes(shared, reason) => {}
                }
            }
        }
    }
}

/// Waits before the provider is called again. The first hint since the number `hints` shortens the
/// wait.
async fn wait_before_retry(
    shared: &SharedState<DeviceProtocol>,
    wait: Duration,
    soon: Duration,
    hints: u64,
) {
    let until = Instant::now() + wait;
    tokio::select! {
        () = sleep_until(until) => return,
        () = shared.wait_for_change(|_| (shared.hints() != hints).then_some(())) => {}
    }
    sleep_until(until.min(Instant::now() + soon)).await;
}

/// Waits until the channel needs no credential any more, or needs one for another reason.
async fn request_changes(shared: &SharedState<DeviceProtocol>, reason: CredentialReason) {
    let changed = |protocol: &mut DeviceProtocol| {
        (protocol.credential_request() != Some(reason)).then_some(())
    };
    shared.wait_for_change(changed).await;
}

/// Requests a credential from the provider. Returns `None` if the application sets one first. A
/// panic of the provider counts as an error.
async fn request_credential(
    shared: &SharedState<DeviceProtocol>,
    provider: &Arc<dyn CredentialProvider>,
    reason: CredentialReason,
) -> Option<Result<Credential, CredentialError>> {
    let no_request = |protocol: &mut DeviceProtocol| match protocol.credential_request() {
        None => Some(()),
        Some(_) => None,
    };
    let call = AssertUnwindSafe(async { provider.credential(reason).await }).catch_unwind();
    let result = tokio::select! {
        result = call => result,
        () = shared.wait_for_change(no_request) => return None,
    };
    let panicked = || CredentialError::Unavailable("the credential provider panicked".to_owned());
    let result = result.unwrap_or_else(|_| Err(panicked()));
    if let Err(error) = &result {
        tracing::warn!(%error, "the credential provider has no credential");
    }
    Some(result)
}
