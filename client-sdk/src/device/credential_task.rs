//! The part of a channel's task that repeats failed requests for a credential, and the part that
//! calls the credential provider.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::credential_requests::Repetition;
use super::protocol::DeviceProtocol;
use crate::channel::SharedState;
use crate::credential::{Credential, CredentialError, CredentialProvider, CredentialRequest};

/// Repeats each request that has failed after its wait, for as long as the future is polled.
pub(super) async fn repeat_requests(shared: &SharedState<DeviceProtocol>) {
    loop {
        let repetition =
            shared.wait_as_task(|protocol| protocol.credential_requests().repetition()).await;
        let number = repetition.number;
        let closed = |protocol: &mut DeviceProtocol| {
            (!protocol.credential_requests().is_open(number)).then_some(())
        };
        tokio::select! {
            () = wait_for_repetition(shared, repetition) => {
                shared.with(|protocol| protocol.credential_requests().repeat(number, Instant::now()));
                shared.notify_app();
            }
            () = shared.wait_as_task(closed) => {}
        }
    }
}

/// Waits before a request is repeated. The first hint since it was taken shortens the wait.
async fn wait_for_repetition(shared: &SharedState<DeviceProtocol>, repetition: Repetition) {
    tokio::select! {
        () = sleep_until(repetition.at) => return,
        () = shared.wait_as_task(|_| (shared.hints() != repetition.hints).then_some(())) => {}
    }
    sleep_until(repetition.at.min(Instant::now() + repetition.after_hint)).await;
}

/// Answers the requests of a channel with the credentials of a provider.
pub(super) async fn run(
    shared: &SharedState<DeviceProtocol>,
    provider: &Arc<dyn CredentialProvider>,
    runtime: &Handle,
) {
    let mut last = 0;
    while let Some(request) = next_request(shared, last).await {
        last = request.number;
        match call(shared, provider, request, runtime).await {
            None => {}
            Some(Ok(credential)) => set_credential(shared, credential),
            Some(Err(error)) => {
                tracing::warn!(%error, "the credential provider has no credential");
                report_failure(shared, request.number, &error);
            }
        }
    }
}

/// Calls the provider in a task of its own. Returns `None` if the request is closed or replaced
/// meanwhile, which cancels the call. A panic of the provider counts as an error.
async fn call(
    shared: &SharedState<DeviceProtocol>,
    provider: &Arc<dyn CredentialProvider>,
    request: CredentialRequest,
    runtime: &Handle,
) -> Option<Result<Credential, CredentialError>> {
    let provider = Arc::clone(provider);
    let call = async move { provider.credential(request.reason).await };
    let call = AbortOnDropHandle::new(runtime.spawn(call.in_current_span()));
    tokio::select! {
        result = call => Some(result.unwrap_or_else(|_| {
            Err(CredentialError::Unavailable("the credential provider panicked".to_owned()))
        })),
        () = request_end(shared, request.number) => None,
    }
}

/// Waits for a request that is newer than `after`. Returns `None` after the end of the channel.
pub(super) async fn next_request(
    shared: &SharedState<DeviceProtocol>,
    after: u64,
) -> Option<CredentialRequest> {
    let pull =
        |protocol: &mut DeviceProtocol| protocol.pull_credential_request(after, shared.hints());
    shared.wait_as_app(pull).await.event()
}

/// Waits until a request is closed or replaced.
pub(super) async fn request_end(shared: &SharedState<DeviceProtocol>, number: u64) {
    shared.wait_as_app(|protocol| protocol.has_closed_request(number).then_some(())).await;
}

/// Sets a fresh credential on behalf of the application or of its provider.
pub(super) fn set_credential(shared: &SharedState<DeviceProtocol>, credential: Credential) {
    shared.update_as_app(|protocol| protocol.set_credential(credential));
    shared.notify_app();
}

/// Records that a request has failed, on behalf of the application or of its provider.
pub(super) fn report_failure(
    shared: &SharedState<DeviceProtocol>,
    number: u64,
    error: &CredentialError,
) {
    let hints = shared.hints();
    shared.update_as_app(|protocol| protocol.fail_credential_request(number, error, hints));
    shared.notify_app();
}
