//! The number of times that the task of a channel is woken while nothing happens, in every state.

use std::sync::Arc;

use super::scripted_server::{Script, ScriptedServer, within};
use crate::{ConnectionState, CredentialError, NewNotification, Puid, Status};

/// The number of turns of the runtime in which the wakes are counted. A busy task is polled in
/// each.
const TURNS: usize = 2_000;

/// Asserts that the task sleeps: after a while it is not woken any more. The runtime has one
/// thread, so that a task that is awake is polled at each turn.
async fn assert_asleep(what: &str, wakes: impl Fn() -> u64) {
    let mut quiet_turns = 0;
    let mut last = wakes();
    for _ in 0..100 * TURNS {
        tokio::task::yield_now().await;
        let now = wakes();
        quiet_turns = if now == last { quiet_turns + 1 } else { 0 };
        last = now;
        if quiet_turns == TURNS {
            return;
        }
    }
    panic!("{what}: the task was woken {last} times");
}

#[tokio::test]
async fn a_device_sleeps_in_every_state() {
    let scripts = [
        Script::Hang,
        Script::HangAfterUpgrade,
        Script::Serve,
        Script::Delay(3600.0),
        Script::Refuse(34),
        Script::Refuse(77),
        Script::StopReading,
        Script::Close,
    ];
    for script in scripts {
        let mut server = ScriptedServer::start(vec![script]).await;
        let (channel, _events) = server.device(|options| {
            options.timing.backoff_floor = options.timing.backoff_ceiling;
        });
        server.wait_for_connections(1).await;
        assert_asleep(&format!("{script:?}"), || channel.wakes()).await;
        channel.set_status(Status::Unavailable, None);
        assert_asleep(&format!("{script:?} with a status"), || channel.wakes()).await;
        channel.network_changed();
        assert_asleep(&format!("{script:?} after a hint"), || channel.wakes()).await;
    }
}

#[tokio::test]
async fn a_device_that_waits_for_a_credential_sleeps() {
    let server = ScriptedServer::start(vec![Script::Serve]).await;
    let (channel, _events) = server.device(|options| options.credential = None);
    assert_asleep("no credential", || channel.wakes()).await;
    let (channel, _events) = server.device(|options| {
        options.credential = None;
        options.timing.backoff_floor = options.timing.backoff_ceiling;
        options.credential_provider =
            Some(Arc::new(|_| async { Err(CredentialError::Unavailable("none".to_owned())) }));
    });
    assert_asleep("a provider without a credential", || channel.wakes()).await;
    let (channel, _events) = server.device(|options| {
        options.credential = None;
        options.credential_provider = Some(Arc::new(|_| std::future::pending()));
    });
    assert_asleep("a provider that does not answer", || channel.wakes()).await;
}

#[tokio::test]
async fn a_back_end_sleeps_in_every_state() {
    let scripts = [
        Script::Hang,
        Script::HangAfterUpgrade,
        Script::Serve,
        Script::Delay(3600.0),
        Script::Refuse(41),
        Script::StopReading,
    ];
    for script in scripts {
        let mut server = ScriptedServer::start(vec![script]).await;
        let (channel, _events) = server.back_end();
        server.wait_for_connections(1).await;
        assert_asleep(&format!("{script:?}"), || channel.wakes()).await;
        let caller = channel.clone();
        let mut calls = tokio::task::JoinSet::new();
        calls.spawn(async move {
            let item = NewNotification::new(Puid::from_bits(1), "Hello");
            drop(caller.notify_one(item).await);
        });
        assert_asleep(&format!("{script:?} with a call"), || channel.wakes()).await;
    }
}

#[tokio::test]
async fn a_back_end_sleeps_while_a_delayed_request_waits_for_the_next_acceptance() {
    let mut server =
        ScriptedServer::start(vec![Script::DelayThenClose, Script::HangAfterUpgrade]).await;
    let (channel, _events) = server.back_end();
    let caller = channel.clone();
    let mut calls = tokio::task::JoinSet::new();
    calls.spawn(async move {
        drop(caller.query(vec![Puid::from_bits(1)]).await);
    });
    server.wait_for_connections(2).await;
    let reconnecting = async {
        while !matches!(channel.state(), ConnectionState::Connecting { .. }) {
            tokio::task::yield_now().await;
        }
    };
    within(reconnecting).await;
    // The delay of a millisecond is over.
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    assert_asleep("a delayed request", || channel.wakes()).await;
}
