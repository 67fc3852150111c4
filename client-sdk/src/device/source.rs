//! Asks the token source whenever a credential is wanted.

use std::sync::Arc;

use tokio::time::{Instant, sleep};

use super::talk::DeviceTalk;
use crate::credential::{TokenError, TokenSource, Wanted};
use crate::link::{Backoff, Shared};
use crate::timing::Timing;

/// Serves a channel for as long as it is polled.
pub(super) async fn serve(
    shared: &Shared<DeviceTalk>,
    source: &Arc<dyn TokenSource>,
    timing: &Timing,
) {
    let mut backoff = Backoff::new(timing);
    let mut given_at: Option<Instant> = None;
    loop {
        let wanted = shared.until(|talk| talk.wanted()).await;
        if let (Wanted::Expiring { within }, Some(given_at)) = (wanted, given_at)
            && given_at.elapsed() < within
        {
            // Sessions shorter than the warning before their end: no need to renew them all the time.
            sleep(within / 2).await;
        }
        let answer = tokio::select! {
            answer = source.token(wanted) => answer,
            // The application was quicker.
            () = shared.until(|talk| talk.wanted().is_none().then_some(())) => continue,
        };
        match answer {
            Ok(credential) => {
                backoff.forget();
                given_at = Some(Instant::now());
                shared.change(|talk| talk.give_credential(credential));
            }
            Err(TokenError::SignedOut) => {
                shared.change(DeviceTalk::sign_out);
                shared.tell(|_| ());
            }
            Err(TokenError::Unavailable(reason)) => {
                tracing::info!(reason, "the token source has nothing at the moment");
                sleep(backoff.after_failure(rand::random(), None)).await;
            }
        }
    }
}
