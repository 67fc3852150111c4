//! Asks the token source whenever a credential is wanted.

use std::sync::Arc;

use tokio::time::{Instant, sleep};

use super::talk::DeviceTalk;
use crate::credential::{Credential, CredentialError, CredentialProvider, CredentialReason};
use crate::link::{Backoff, Shared};
use crate::timing::Timing;

/// Serves a channel for as long as it is polled.
pub(super) async fn serve(
    shared: &Shared<DeviceTalk>,
    source: &Arc<dyn CredentialProvider>,
    timing: &Timing,
) {
    let mut backoff = Backoff::new(timing);
    let mut given_at: Option<Instant> = None;
    loop {
        let wanted = shared.until(|talk| talk.wanted()).await;
        if let (CredentialReason::Expiring { within }, Some(given_at)) = (wanted, given_at)
            && given_at.elapsed() < within
        {
            // Sessions shorter than the warning before their end: no need to renew them all the time.
            sleep(within / 2).await;
        }
        match ask(shared, source, wanted).await {
            None => {}
            Some(Ok(credential)) => {
                backoff.forget();
                given_at = Some(Instant::now());
                shared.change(|talk| talk.set_credential(credential));
            }
            Some(Err(CredentialError::SignedOut)) => shared.tell(DeviceTalk::sign_out),
            Some(Err(CredentialError::Unavailable(_))) => {
                sleep(backoff.after_failure(rand::random(), None)).await;
            }
        }
    }
}

/// `None` where the application was quicker than the source.
async fn ask(
    shared: &Shared<DeviceTalk>,
    source: &Arc<dyn CredentialProvider>,
    wanted: CredentialReason,
) -> Option<Result<Credential, CredentialError>> {
    let answer = tokio::select! {
        answer = source.credential(wanted) => answer,
        () = shared.until(|talk| talk.wanted().is_none().then_some(())) => return None,
    };
    if let Err(error) = &answer {
        tracing::info!(%error, "the token source has no credential");
    }
    Some(answer)
}
