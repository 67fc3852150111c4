//! The channel of a back end when the network or the server fails: its map ends up correct, and a
//! notification that was answered is queued once.

use std::collections::HashSet;
use std::time::Duration;

use presence_client::{AppServiceEvent, ConnectionState, NewNotification, Status};
use presence_tests::{Application, FaultProxy, Server, ServerOptions, Socket};
use serde_json::json;

use super::parts::{BackEnd, Phone, soon, url_of};

/// A back end behind a fault proxy, and a device that it watches.
struct Scene {
    server: Server,
    cutter: FaultProxy,
    application: Application,
    uid: presence_client::Puid,
    back_end: BackEnd,
    device: Socket,
}

impl Scene {
    async fn set() -> Self {
        let server = Server::start(ServerOptions::default().with("notify-burst", 100_000)).await;
        let (application, _, uid) = server.application_with("alice").await;
        let cutter = FaultProxy::to(&server).await;
        let device = Socket::device_of(&server, "alice", "tablet", "online").await;
        let mut back_end = BackEnd::through(&cutter, &application).await;
        back_end.sees(uid, Status::Online).await;
        Self { server, cutter, application, uid, back_end, device }
    }
}

#[tokio::test]
async fn a_broken_connection_is_resumed_where_it_was() {
    let mut scene = Scene::set().await;
    for (turn, status) in ["unavailable", "online", "unavailable"].into_iter().enumerate() {
        match turn {
            0 => scene.cutter.reset(),
            1 => scene.cutter.hang_up(),
            _ => scene.cutter.half_close(),
        }
        scene.device.report(status).await;
        let wanted = if status == "online" { Status::Online } else { Status::Unavailable };
        scene.back_end.sees(scene.uid, wanted).await;
    }
    let snapshots =
        scene.back_end.heard.iter().filter(|event| matches!(event, AppServiceEvent::Snapshot(_)));
    assert_eq!((snapshots.count(), scene.back_end.heard_a_gap()), (1, false));
}

#[tokio::test]
async fn a_stalled_connection_is_left_and_resumed() {
    let mut scene = Scene::set().await;
    scene.cutter.stall();
    scene.device.report("unavailable").await;
    scene.back_end.is(|state| matches!(state, ConnectionState::Waiting { .. })).await;
    assert!(!scene.back_end.map.is_live());
    scene.cutter.carry();
    scene.back_end.sees(scene.uid, Status::Unavailable).await;
    assert!(scene.back_end.map.is_live() && !scene.back_end.heard_a_gap());
}

#[tokio::test]
async fn after_a_restart_of_the_server_the_gap_is_told_and_the_map_is_true() {
    let mut scene = Scene::set().await;
    scene.server.kill().await;
    scene.back_end.is(|state| matches!(state, ConnectionState::Waiting { .. })).await;
    scene.server.restart_in_place().await;
    let bob = scene.server.sign_in("bob").await.grant(&scene.application).await;
    let _bob = Socket::device_of(&scene.server, "bob", "phone", "online").await;
    scene.back_end.sees(bob, Status::Online).await;
    // Alice's device has not come back.
    scene.back_end.sees(scene.uid, Status::Offline).await;
    assert!(scene.back_end.heard_a_gap());
}

#[tokio::test]
async fn a_notification_sent_while_connections_break_is_queued_once() {
    const SENT: usize = 60;
    let mut scene = Scene::set().await;
    let mut phone = Phone::of(&scene.server, "alice").await;
    let channel = scene.back_end.channel.clone();
    let uid = scene.uid;
    let sending = async move {
        let mut ids = Vec::new();
        for number in 0..SENT {
            let item = NewNotification::new(uid, number.to_string());
            ids.push(soon("an answer", channel.notify_one(item)).await.unwrap().id);
        }
        ids
    };
    let cutter = &scene.cutter;
    let cutting = async {
        loop {
            tokio::time::sleep(Duration::from_millis(15)).await;
            cutter.reset();
        }
    };
    let taking = async {
        for _ in 0..SENT {
            phone.takes().await;
        }
    };
    let ids = tokio::select! {
        (ids, ()) = async { tokio::join!(sending, taking) } => ids,
        () = cutting => unreachable!("cutting never ends"),
    };
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), SENT);
    assert_eq!(phone.notifications.iter().map(|taken| taken.id).collect::<Vec<_>>(), ids);
    phone.is_settled().await;
    assert!(phone.pending().is_empty());
    assert!(scene.cutter.connections() > 2, "nothing was cut");
    phone.channel.close().await;
    scene.back_end.sees(uid, Status::Online).await;
}

#[tokio::test]
async fn a_call_made_while_the_server_is_away_is_answered_once_it_is_back() {
    let mut scene = Scene::set().await;
    scene.server.kill().await;
    let channel = scene.back_end.channel.clone();
    let uid = scene.uid;
    let item = NewNotification::new(uid, "Hello");
    let mut calls = tokio::task::JoinSet::new();
    calls.spawn(async move { channel.notify_one(item).await });
    scene.back_end.is(|state| matches!(state, ConnectionState::Waiting { .. })).await;
    assert!(calls.try_join_next().is_none());
    scene.server.restart_in_place().await;
    assert!(soon("an answer", calls.join_next()).await.unwrap().unwrap().is_ok());
}

#[tokio::test]
async fn a_call_that_was_dropped_before_it_was_sent_is_not_sent() {
    let mut scene = Scene::set().await;
    let mut phone = Phone::of(&scene.server, "alice").await;
    scene.server.kill().await;
    scene.back_end.is(|state| matches!(state, ConnectionState::Waiting { .. })).await;
    let channel = scene.back_end.channel.clone();
    let dropped = channel.notify_one(NewNotification::new(scene.uid, "dropped"));
    assert!(tokio::time::timeout(Duration::from_millis(100), dropped).await.is_err());
    scene.server.restart_in_place().await;
    channel.notify_one(NewNotification::new(scene.uid, "sent")).await.unwrap();
    assert_eq!(phone.takes().await.message, "sent");
}

#[tokio::test]
async fn a_call_that_nobody_answers_in_time_says_so() {
    let scene = Scene::set().await;
    let hurried = BackEnd::with(url_of(&scene.cutter), &scene.application, |options| {
        options.timing.request_timeout = Duration::from_millis(300);
    });
    let hurried = hurried.await;
    scene.cutter.stall();
    let error = soon("an answer", hurried.channel.query(vec![scene.uid])).await.unwrap_err();
    assert!(error == presence_client::Error::TimedOut && error.retryable());
}

#[tokio::test]
async fn a_revoked_key_ends_the_channel_and_no_other() {
    let mut scene = Scene::set().await;
    let (id, key) = scene.application.make_key().await;
    let mut rotated = BackEnd::with(url_of(&scene.cutter), &scene.application, |options| {
        options.api_key = key.into();
    })
    .await;
    scene.application.owner_call("DELETE", &format!("/keys/{id}")).await.ok();
    rotated.is(|state| matches!(state, ConnectionState::Ended(_))).await;
    scene.device.ask(json!({"status": "unavailable"})).await;
    scene.back_end.sees(scene.uid, Status::Unavailable).await;
}
