//! Hints: none is lost, and many have the effect of one.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::scripted_server::{
    Script, ScriptedServer, counted_provider, is_connected, token, wait_for_state, within,
};
use crate::{ConnectionState, CredentialError};

#[tokio::test]
async fn a_hint_restarts_an_attempt_that_hangs_before_or_after_the_upgrade() {
    for hanging in [Script::Hang, Script::HangAfterUpgrade] {
        let mut server = ScriptedServer::start(vec![hanging, Script::Serve]).await;
        let (channel, _events) = server.device(|_| ());
        server.wait_for_connections(1).await;
        channel.network_changed();
        wait_for_state(&channel, is_connected).await;
        assert_eq!(server.connections(), 2, "{hanging:?}");
    }
}

#[tokio::test]
async fn a_hint_shortens_a_wait_and_the_state_tells_the_new_one() {
    let server = ScriptedServer::start(vec![Script::Close]).await;
    let (channel, _events) = server.device(|_| ());
    // After some failures the wait is long, unless a hint shortens it.
    let long_wait = async {
        loop {
            let state = channel.state();
            // A hint during an attempt would shorten the next wait.
            if let ConnectionState::Waiting { retry_in, .. } = &state {
                if retry_in.as_secs() > 10 {
                    break state;
                }
                channel.network_changed();
            }
            channel.wait_for_state_change(&state).await.unwrap();
        }
    };
    let known = within(long_wait).await;
    channel.network_changed();
    let state = within(channel.wait_for_state_change(&known)).await.unwrap();
    let ConnectionState::Waiting { retry_in, .. } = state else { panic!("{state:?}") };
    assert!(retry_in <= Duration::from_millis(20), "{retry_in:?}");
}

#[tokio::test]
async fn a_credential_and_a_hint_shorten_the_wait_of_the_channel() {
    for by_hint in [true, false] {
        let mut scripts = vec![Script::Close; 12];
        scripts.push(Script::Serve);
        let mut server = ScriptedServer::start(scripts).await;
        let (channel, _events) = server.device(|_| ());
        let nudging = async {
            while !is_connected(&channel.state()) {
                if by_hint {
                    channel.network_changed();
                } else {
                    channel.set_credential(token("another"));
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        // Without the nudges the last waits would take up to 40 s.
        within(nudging).await;
        server.wait_for_connections(13).await;
    }
}

#[tokio::test]
async fn a_hint_shortens_the_wait_before_the_credential_provider_is_asked_again() {
    let server = ScriptedServer::start(vec![Script::Serve]).await;
    let unavailable = || CredentialError::Unavailable("not yet".to_owned());
    let (provider, calls) =
        counted_provider(
            move |_, call| {
                if call < 16 { Err(unavailable()) } else { Ok(token("fresh")) }
            },
        );
    let (channel, _events) = server.device(|options| {
        options.credential = None;
        options.credential_provider = provider;
    });
    let nudging = async {
        while !is_connected(&channel.state()) {
            channel.network_changed();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within(nudging).await;
    assert_eq!(calls.load(Ordering::SeqCst), 17);
}

#[tokio::test]
async fn a_fresh_credential_after_an_outage_is_used_soon() {
    let mut scripts = vec![Script::Close; 18];
    scripts.extend([Script::Refuse(34), Script::Serve]);
    let server = ScriptedServer::start(scripts).await;
    let (channel, _events) = server.device(|options| {
        options.credential_provider = Some(Arc::new(|_| async { Ok(token("fresh")) }));
    });
    let mut state = channel.state();
    // Hints shorten the waits of the outage only: the wait after the next failure would take hours.
    while !is_connected(&state) {
        if matches!(state, ConnectionState::Waiting { .. }) {
            channel.network_changed();
        }
        state = within(channel.wait_for_state_change(&state)).await.expect("the channel ended");
    }
    assert_eq!(server.connections(), 20);
}

#[tokio::test]
async fn a_flood_of_hints_makes_one_ping() {
    let server = ScriptedServer::start(vec![Script::Serve]).await;
    let (channel, _events) = server.device(|_| ());
    within(channel.confirmed()).await.unwrap();
    for _ in 0..1_000 {
        channel.network_changed();
        tokio::task::yield_now().await;
    }
    // The frames arrive in order, so that all pings have arrived with this status.
    channel.set_status(crate::Status::Unavailable, None);
    within(channel.confirmed()).await.unwrap();
    assert_eq!((server.pings(), server.connections()), (1, 1));
}

#[tokio::test]
async fn a_fresh_credential_of_an_attempt_that_a_hint_restarts_may_have_aged() {
    let refuse = || Script::Refuse(34);
    let scripts = vec![refuse(), Script::HangAfterUpgrade, refuse(), Script::Serve];
    let mut server = ScriptedServer::start(scripts).await;
    let (provider, calls) = counted_provider(|_, call| Ok(token(&call.to_string())));
    let (channel, _events) = server.device(|options| options.credential_provider = provider);
    server.wait_for_connections(2).await;
    channel.network_changed();
    wait_for_state(&channel, is_connected).await;
    assert_eq!((calls.load(Ordering::SeqCst), server.connections()), (2, 4));
}
