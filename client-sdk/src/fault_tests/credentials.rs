//! Credential providers that fail, hang and block, and applications that answer requests
//! themselves.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use tokio::sync::Notify;

use super::scripted_server::{
    Script, ScriptedServer, counted_provider, is_connected, token, wait_for_state, within,
};
use crate::{
    ConnectionState, CredentialError, CredentialReason, CredentialRequest, DeviceChannel,
    DeviceEvent, Status, Timing,
};

fn unavailable() -> CredentialError {
    CredentialError::Unavailable("not yet".to_owned())
}

/// Returns the next request of a device without a provider.
async fn next_request(channel: &DeviceChannel, after: u64) -> CredentialRequest {
    within(channel.wait_for_credential_request(after)).await.expect("the channel ended")
}

#[tokio::test]
async fn a_hint_shortens_the_wait_after_a_failure_that_the_application_reports() {
    let server = ScriptedServer::start(vec![Script::Serve]).await;
    let (channel, _events) = server.device(|options| options.credential = None);
    let mut last = 0;
    // The last of the waits would take minutes without the hints.
    for failures in 0..16 {
        let request = next_request(&channel, last).await;
        assert_eq!((request.number, request.reason), (failures + 1, CredentialReason::First));
        channel.report_credential_failure(request.number, &unavailable());
        channel.network_changed();
        last = request.number;
    }
    channel.set_credential(token("good"));
    within(channel.confirmed()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_a_hint_a_request_is_repeated_after_a_wait_that_grows() {
    let server = ScriptedServer::start(vec![Script::Serve]).await;
    let (channel, _events) = server.device(|options| {
        options.credential = None;
        options.timing = Timing::default();
    });
    let begun = tokio::time::Instant::now();
    let mut last = 0;
    for _ in 0..20 {
        let request = channel.wait_for_credential_request(last).await.unwrap();
        channel.report_credential_failure(request.number, &unavailable());
        last = request.number;
    }
    let passed = begun.elapsed();
    // Thirteen of the waits are random parts of a minute, and none is longer.
    assert!(passed > Duration::from_mins(1) && passed < Duration::from_mins(20), "{passed:?}");
}

#[tokio::test]
async fn a_credential_of_the_application_ends_the_wait_after_a_failure() {
    let server = ScriptedServer::start(vec![Script::Serve]).await;
    let (channel, _events) = server.device(|options| {
        options.credential = None;
        options.timing.backoff_floor = options.timing.backoff_ceiling;
    });
    let request = next_request(&channel, 0).await;
    channel.report_credential_failure(request.number, &unavailable());
    channel.set_credential(token("good"));
    within(channel.wait_for_credential_request_end(request.number)).await;
    within(channel.confirmed()).await.unwrap();
}

#[tokio::test]
async fn an_application_that_reads_the_events_gets_a_failed_request_again() {
    let server = ScriptedServer::start(vec![Script::Serve]).await;
    let (channel, mut events) = server.device(|options| options.credential = None);
    let mut numbers = Vec::new();
    while numbers.len() < 3 {
        let event = within(events.next()).await.unwrap();
        if let DeviceEvent::CredentialWanted(request) = event {
            channel.report_credential_failure(request.number, &unavailable());
            numbers.push(request.number);
        }
    }
    assert_eq!(numbers, [1, 2, 3]);
}

#[tokio::test]
async fn a_report_that_the_user_is_signed_out_is_the_state_until_there_is_a_credential() {
    let server = ScriptedServer::start(vec![Script::Serve]).await;
    let (channel, _events) = server.device(|options| options.credential = None);
    let request = next_request(&channel, 0).await;
    channel.report_credential_failure(request.number + 1, &CredentialError::SignedOut);
    assert!(matches!(channel.state(), ConnectionState::CredentialWanted(_)));
    channel.report_credential_failure(request.number, &CredentialError::SignedOut);
    assert!(matches!(channel.state(), ConnectionState::SignedOut(_)));
    within(channel.wait_for_credential_request_end(request.number)).await;
    channel.set_credential(token("good"));
    within(channel.confirmed()).await.unwrap();
}

#[tokio::test]
async fn a_request_ends_with_its_channel() {
    let server = ScriptedServer::start(vec![Script::Serve]).await;
    let (channel, _events) = server.device(|options| options.credential = None);
    let request = next_request(&channel, 0).await;
    let other = channel.clone();
    let ((), ()) = tokio::join!(channel.close(), async {
        within(other.wait_for_credential_request_end(request.number)).await;
    });
    assert_eq!(within(channel.wait_for_credential_request(0)).await, None);
}

/// A guard that tells when a call of a provider is cancelled.
struct CancelledCall(Arc<Notify>);

impl Drop for CancelledCall {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn a_provider_that_never_returns_is_cancelled_by_a_credential_of_the_application() {
    let server = ScriptedServer::start(vec![Script::Serve]).await;
    let (called, cancelled) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (on_call, on_cancel) = (Arc::clone(&called), Arc::clone(&cancelled));
    let (channel, _events) = server.device(|options| {
        options.credential = None;
        options.credential_provider = Some(Arc::new(move |_| {
            on_call.notify_one();
            let guard = CancelledCall(Arc::clone(&on_cancel));
            async move {
                let _guard = guard;
                std::future::pending().await
            }
        }));
    });
    within(called.notified()).await;
    channel.set_credential(token("good"));
    within(cancelled.notified()).await;
    within(channel.confirmed()).await.unwrap();
}

#[tokio::test]
async fn a_newer_request_cancels_the_call_for_an_older_one() {
    let server =
        ScriptedServer::start(vec![Script::ExpireThenClose, Script::Refuse(32), Script::Serve])
            .await;
    let reasons = Arc::<Mutex<Vec<CredentialReason>>>::default();
    let (called, cancelled) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (recorded, on_call, on_cancel) =
        (Arc::clone(&reasons), Arc::clone(&called), Arc::clone(&cancelled));
    let (channel, _events) = server.device(|options| {
        options.credential_provider = Some(Arc::new(move |reason| {
            recorded.lock().unwrap().push(reason);
            let on_call = Arc::clone(&on_call);
            let guard = CancelledCall(Arc::clone(&on_cancel));
            async move {
                if matches!(reason, CredentialReason::Expiring { .. }) {
                    on_call.notify_one();
                    let _guard = guard;
                    return std::future::pending().await;
                }
                std::mem::forget(guard);
                Ok(token("fresh"))
            }
        }));
    });
    within(called.notified()).await;
    // After this frame the server closes the connection.
    channel.set_status(Status::Unavailable, None);
    within(cancelled.notified()).await;
    wait_for_state(&channel, is_connected).await;
    within(channel.confirmed()).await.unwrap();
    let reasons = reasons.lock().unwrap();
    let [CredentialReason::Expiring { .. }, CredentialReason::Expired] = reasons[..] else {
        panic!("{reasons:?}")
    };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_blocks_its_thread_does_not_hold_up_the_channel() {
    let server = ScriptedServer::start(vec![Script::Serve]).await;
    let (release, blocked) = mpsc::channel::<()>();
    let (blocked, called) = (Mutex::new(blocked), Arc::new(Notify::new()));
    let on_call = Arc::clone(&called);
    let (channel, _events) = server.device(|options| {
        options.credential = None;
        options.credential_provider = Some(Arc::new(move |_| {
            on_call.notify_one();
            // Blocks until the test lets go of the sender.
            let _ = blocked.lock().unwrap().recv();
            async { Ok(token("late")) }
        }));
    });
    within(called.notified()).await;
    channel.set_credential(token("good"));
    within(channel.confirmed()).await.unwrap();
    assert_eq!(channel.state(), ConnectionState::Connected);
    drop(release);
}

#[tokio::test]
async fn the_failures_of_a_provider_have_one_wait_each() {
    let server = ScriptedServer::start(vec![Script::Serve]).await;
    let (provider, calls) =
        counted_provider(|_, call| if call < 3 { Err(unavailable()) } else { Ok(token("good")) });
    let (channel, _events) = server.device(|options| {
        options.credential = None;
        options.credential_provider = provider;
    });
    within(channel.confirmed()).await.unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 4);
}
