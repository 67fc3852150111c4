//! The channel of a back end when the network or the server fails: its map ends up correct, and a
//! notification that was answered is queued once.

use std::collections::HashSet;
use std::time::Duration;

use presence_client::{AppServiceEvent, ConnectionState, NewNotification, Status};
use presence_tests::{Application, FaultProxy, Server, ServerOptions, Socket};
use serde_json::json;

use super::fixtures::{BackEnd, Phone, url_of, within_limit};

/// A back end behind a fault proxy, and a device that it watches.
struct AppServiceScenario {
    server: Server,
    proxy: FaultProxy,
    application: Application,
    uid: presence_client::Puid,
    back_end: BackEnd,
    device: Socket,
}

impl AppServiceScenario {
    async fn start() -> Self {
        let server = Server::start(ServerOptions::default().with("notify-burst", 100_000)).await;
        let (application, _, uid) = server.application_with("alice").await;
        let proxy = FaultProxy::to(&server).await;
        let device = Socket::device_of(&server, "alice", "tablet", "online").await;
        let mut back_end = BackEnd::through(&proxy, &application).await;
        back_end.wait_for_status(uid, Status::Online).await;
        Self { server, proxy, application, uid, back_end, device }
    }
}

#[tokio::test]
async fn a_broken_connection_is_resumed_where_it_was() {
    let mut scenario = AppServiceScenario::start().await;
    for (turn, status) in ["unavailable", "online", "unavailable"].into_iter().enumerate() {
        match turn {
            0 => scenario.proxy.reset(),
            1 => scenario.proxy.hang_up(),
            _ => scenario.proxy.half_close(),
        }
        scenario.device.report(status).await;
        let expected = if status == "online" { Status::Online } else { Status::Unavailable };
        scenario.back_end.wait_for_status(scenario.uid, expected).await;
    }
    let snapshots = scenario
        .back_end
        .received
        .iter()
        .filter(|event| matches!(event, AppServiceEvent::Snapshot(_)));
    assert_eq!((snapshots.count(), scenario.back_end.received_gap()), (1, false));
}

#[tokio::test]
async fn a_stalled_connection_is_replaced_and_resumed() {
    let mut scenario = AppServiceScenario::start().await;
    scenario.proxy.stall();
    scenario.device.report("unavailable").await;
    scenario
        .back_end
        .wait_for_state(|state| matches!(state, ConnectionState::Waiting { .. }))
        .await;
    assert!(!scenario.back_end.map.is_live());
    scenario.proxy.resume_traffic();
    scenario.back_end.wait_for_status(scenario.uid, Status::Unavailable).await;
    assert!(scenario.back_end.map.is_live() && !scenario.back_end.received_gap());
}

#[tokio::test]
async fn after_a_restart_of_the_server_a_gap_is_reported_and_the_map_is_correct() {
    let mut scenario = AppServiceScenario::start().await;
    scenario.server.kill().await;
    scenario
        .back_end
        .wait_for_state(|state| matches!(state, ConnectionState::Waiting { .. }))
        .await;
    scenario.server.restart_in_place().await;
    let bob = scenario.server.sign_in("bob").await.grant(&scenario.application).await;
    let _bob = Socket::device_of(&scenario.server, "bob", "phone", "online").await;
    scenario.back_end.wait_for_status(bob, Status::Online).await;
    // Alice's device has not reconnected.
    scenario.back_end.wait_for_status(scenario.uid, Status::Offline).await;
    assert!(scenario.back_end.received_gap());
}

#[tokio::test]
async fn a_notification_sent_while_connections_break_is_queued_once() {
    const SENT: usize = 60;
    let mut scenario = AppServiceScenario::start().await;
    let mut phone = Phone::of(&scenario.server, "alice").await;
    let channel = scenario.back_end.channel.clone();
    let uid = scenario.uid;
    let sending = async move {
        let mut ids = Vec::new();
        for number in 0..SENT {
            let item = NewNotification::new(uid, number.to_string());
            ids.push(within_limit("an answer", channel.notify_one(item)).await.unwrap().id);
        }
        ids
    };
    let proxy = &scenario.proxy;
    let breaking = async {
        loop {
            tokio::time::sleep(Duration::from_millis(15)).await;
            proxy.reset();
        }
    };
    let taking = async {
        for _ in 0..SENT {
            phone.next_notification().await;
        }
    };
    let ids = tokio::select! {
        (ids, ()) = async { tokio::join!(sending, taking) } => ids,
        () = breaking => unreachable!("the faults never end"),
    };
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), SENT);
    assert_eq!(phone.notifications.iter().map(|taken| taken.id).collect::<Vec<_>>(), ids);
    phone.wait_until_confirmed().await;
    assert!(phone.pending().is_empty());
    assert!(scenario.proxy.connections() > 2, "no connection was broken");
    phone.channel.close().await;
    scenario.back_end.wait_for_status(uid, Status::Online).await;
}

#[tokio::test]
async fn a_call_made_while_the_server_is_down_is_answered_after_its_restart() {
    let mut scenario = AppServiceScenario::start().await;
    scenario.server.kill().await;
    let channel = scenario.back_end.channel.clone();
    let uid = scenario.uid;
    let item = NewNotification::new(uid, "Hello");
    let mut calls = tokio::task::JoinSet::new();
    calls.spawn(async move { channel.notify_one(item).await });
    scenario
        .back_end
        .wait_for_state(|state| matches!(state, ConnectionState::Waiting { .. }))
        .await;
    assert!(calls.try_join_next().is_none());
    scenario.server.restart_in_place().await;
    assert!(within_limit("an answer", calls.join_next()).await.unwrap().unwrap().is_ok());
}

#[tokio::test]
async fn a_call_that_was_dropped_before_it_was_sent_is_not_sent() {
    let mut scenario = AppServiceScenario::start().await;
    let mut phone = Phone::of(&scenario.server, "alice").await;
    scenario.server.kill().await;
    scenario
        .back_end
        .wait_for_state(|state| matches!(state, ConnectionState::Waiting { .. }))
        .await;
    let channel = scenario.back_end.channel.clone();
    let dropped = channel.notify_one(NewNotification::new(scenario.uid, "dropped"));
    assert!(tokio::time::timeout(Duration::from_millis(100), dropped).await.is_err());
    scenario.server.restart_in_place().await;
    channel.notify_one(NewNotification::new(scenario.uid, "sent")).await.unwrap();
    assert_eq!(phone.next_notification().await.message, "sent");
}

#[tokio::test]
async fn a_call_without_an_answer_times_out() {
    let scenario = AppServiceScenario::start().await;
    let impatient = BackEnd::with(url_of(&scenario.proxy), &scenario.application, |options| {
        options.timing.request_timeout = Duration::from_millis(300);
    });
    let impatient = impatient.await;
    scenario.proxy.stall();
    let error =
        within_limit("an answer", impatient.channel.query(vec![scenario.uid])).await.unwrap_err();
    assert!(error == presence_client::Error::TimedOut && error.retryable());
}

#[tokio::test]
async fn a_revoked_key_ends_the_channel_and_no_other() {
    let mut scenario = AppServiceScenario::start().await;
    let (id, key) = scenario.application.make_key().await;
    let mut rotated = BackEnd::with(url_of(&scenario.proxy), &scenario.application, |options| {
        options.api_key = key.into();
    })
    .await;
    scenario.application.owner_call("DELETE", &format!("/keys/{id}")).await.ok();
    rotated.wait_for_state(|state| matches!(state, ConnectionState::Ended(_))).await;
    scenario.device.ask(json!({"status": "unavailable"})).await;
    scenario.back_end.wait_for_status(scenario.uid, Status::Unavailable).await;
}
