//! The end of a channel: nobody waits for a task that is gone, and a close takes about a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use super::scripted_server::{Script, ScriptedServer, counted_provider, token, within};
use crate::{
    AppServiceEvent, ConnectionState, Credential, CredentialError, CredentialProvider,
    CredentialReason, DeviceEvent, EndReason, Error, NewNotification, Puid, Status,
};

#[tokio::test]
async fn a_runtime_that_is_shut_down_ends_its_channels() {
    let server = ScriptedServer::start(vec![Script::Serve]).await;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let guard = runtime.enter();
    let (device, mut events) = server.device(|_| ());
    let (back_end, mut back_end_events) = server.back_end();
    drop(guard);
    within(device.confirmed()).await.unwrap();
    runtime.shutdown_background();
    within(device.close()).await;
    within(back_end.close()).await;
    let ended = Error::Ended(EndReason::Aborted);
    assert_eq!(within(device.confirmed()).await, Err(ended.clone()));
    assert_eq!(within(back_end.query(vec![Puid::from_bits(1)])).await, Err(ended));
    let end = ConnectionState::Ended(EndReason::Aborted);
    while let Some(event) = within(events.next()).await {
        assert!(!matches!(&event, DeviceEvent::State(state) if *state != end), "{event:?}");
    }
    while let Some(event) = within(back_end_events.next()).await {
        assert!(!matches!(&event, AppServiceEvent::State(state) if *state != end), "{event:?}");
    }
}

/// A provider that panics at its first two calls, once at once and once in its future.
struct PanickingProvider(AtomicUsize);

impl CredentialProvider for PanickingProvider {
    fn credential(
        &self,
        _: CredentialReason,
    ) -> BoxFuture<'_, Result<Credential, CredentialError>> {
        let call = self.0.fetch_add(1, Ordering::SeqCst);
        assert!(call != 0, "the first call panics");
        Box::pin(async move {
            assert!(call != 1, "the second call panics");
            Ok(token("fresh"))
        })
    }
}

#[tokio::test]
async fn a_credential_provider_that_panics_is_asked_again() {
    let server = ScriptedServer::start(vec![Script::Serve]).await;
    let (channel, _events) = server.device(|options| {
        options.credential = None;
        options.credential_provider = Some(Arc::new(PanickingProvider(AtomicUsize::new(0))));
    });
    within(channel.confirmed()).await.unwrap();
}

#[tokio::test]
async fn a_close_takes_about_a_second_if_the_server_does_not_read() {
    let server = ScriptedServer::start(vec![Script::StopReading]).await;
    let (channel, _events) = server.back_end();
    let filler = channel.clone();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..60 {
        let filler = filler.clone();
        calls.spawn(async move {
            let text = "x".repeat(100_000);
            let item = NewNotification::new(Puid::from_bits(1), text);
            drop(filler.notify(vec![item]).await);
        });
    }
    let connected = async {
        while channel.state() != ConnectionState::Connected {
            tokio::task::yield_now().await;
        }
        // Until the buffers of the connection are full.
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    within(connected).await;
    let begun = Instant::now();
    channel.close().await;
    // The rest of the time is for a busy machine; the limit of a write is an hour here.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(channel.state(), ConnectionState::Ended(EndReason::Closed));
}

#[tokio::test]
async fn an_aged_credential_is_replaced_by_the_provider() {
    let server = ScriptedServer::start(vec![Script::Refuse(34), Script::Serve]).await;
    let (provider, calls) = counted_provider(|reason, _| {
        assert_eq!(reason, CredentialReason::Expired);
        Ok(token("fresh"))
    });
    let (channel, _events) = server.device(|options| options.credential_provider = provider);
    within(channel.confirmed()).await.unwrap();
    assert_eq!((calls.load(Ordering::SeqCst), server.connections()), (1, 2));
}

#[tokio::test]
async fn a_provider_whose_fresh_credential_is_refused_too_is_asked_once() {
    let server = ScriptedServer::start(vec![Script::Refuse(34)]).await;
    let (provider, calls) = counted_provider(|_, call| Ok(token(&call.to_string())));
    let (channel, _events) = server.device(|options| options.credential_provider = provider);
    let signed_out = async {
        let mut state = channel.state();
        while !matches!(state, ConnectionState::SignedOut(_)) {
            state = channel.wait_for_state_change(&state).await.unwrap();
        }
    };
    within(signed_out).await;
    channel.set_status(Status::Unavailable, None);
    assert_eq!((calls.load(Ordering::SeqCst), server.connections()), (1, 2));
}

#[tokio::test]
async fn a_call_that_times_out_returns_the_results_of_the_notifications_that_were_answered() {
    let server = ScriptedServer::start(vec![Script::NotifyOnce]).await;
    let (channel, _events) = server.back_end_with(|options| {
        options.timing.request_timeout = Duration::from_secs(2);
    });
    let items: Vec<_> =
        (0..501).map(|_| NewNotification::new(Puid::from_bits(1), "Hello")).collect();
    let results = within(channel.notify(items.clone())).await.unwrap();
    assert_eq!(results.len(), 501);
    assert!(results[..500].iter().all(Result::is_ok));
    assert_eq!(results[500], Err(Error::TimedOut));
    // The first part of the call is not answered any more.
    assert_eq!(within(channel.notify(items)).await, Err(Error::TimedOut));
}
