//! The updates that an AppService receives, with and without the subprotocol.

use std::collections::BTreeMap;
use std::time::Duration;

use presence_tests::{Server, ServerOptions, Socket, SocketRequest, uid_of};
use serde_json::{Value, json};

fn unlimited_rates() -> ServerOptions {
    ServerOptions::default().with("status-burst", 1_000_000).with("connects-per-second", 1_000_000)
}

fn fields(update: &Value) -> Vec<&str> {
    let mut names: Vec<_> = update.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn without_the_subprotocol_each_frame_has_one_update_and_all_granted_users_come_first() {
    let server = Server::start(unlimited_rates()).await;
    let (application, _, alice) = server.application_with("alice").await;
    let bob = server.sign_in("bob").await.grant(&application).await;
    let hello = json!({"status": "online", "message": "At lunch"});
    let mut device =
        Socket::open_authenticated(&server, SocketRequest::device(), "alice", hello).await;
    let mut plain = Socket::app(&server, &application, SocketRequest::app(&application)).await;
    let seen = plain.expect_status(alice, "online").await;
    assert_eq!(fields(&seen), ["message", "since", "status", "uid", "version"]);
    assert_eq!(seen["message"], "At lunch");
    assert_eq!(seen["since"].as_u64().unwrap() % 1000, 0, "{seen}");
    let absent = plain.expect_status(bob, "offline").await;
    assert_eq!(fields(&absent), ["since", "status", "uid", "version"]);
    device.report("unavailable").await;
    let later = plain.expect_status(alice, "unavailable").await;
    assert!(later["version"].as_u64() > seen["version"].as_u64(), "{later}");
    device.close(None).await;
    let gone = plain.expect_status(alice, "offline").await;
    assert!(gone["version"].as_u64() > later["version"].as_u64(), "{gone}");
    plain.expect_no_stream_frame().await;
}

#[tokio::test]
async fn with_the_subprotocol_a_snapshot_of_present_users_comes_before_the_batches() {
    let server = Server::start(unlimited_rates()).await;
    let (application, _, alice) = server.application_with("alice").await;
    let bob = server.sign_in("bob").await.grant(&application).await;
    let mut device = Socket::device_of(&server, "alice", "phone", "unavailable").await;
    let (mut stream, snapshot) = Socket::stream(&server, &application).await;
    assert_eq!(fields(&snapshot), ["cursor", "presence", "snapshot"]);
    assert_eq!(snapshot["presence"].as_array().unwrap().len(), 1, "{snapshot}");
    assert_eq!(uid_of(&snapshot["presence"][0]), alice);
    assert_eq!(snapshot["presence"][0]["status"], "unavailable");
    let _bob = Socket::device_of(&server, "bob", "phone", "online").await;
    let batch = stream.receive().await;
    assert_eq!(fields(&batch), ["cursor", "presence"]);
    assert_eq!(uid_of(&batch["presence"][0]), bob);
    assert_eq!(fields(&batch["presence"][0]), ["since", "status", "uid", "version"]);
    device.report("unavailable").await;
    stream.expect_no_stream_frame().await;
    // A later snapshot contains no users who are offline.
    device.close(None).await;
    stream.expect_status(alice, "offline").await;
    let (_later, snapshot) = Socket::stream(&server, &application).await;
    assert_eq!(snapshot["presence"], json!([batch["presence"][0]]));
    let polled = application.call("GET", "/presence").await.ok();
    assert_eq!(polled["presence"], snapshot["presence"]);
}

#[tokio::test]
async fn every_socket_of_an_application_gets_all_of_its_updates_and_no_others() {
    let server = Server::start(unlimited_rates()).await;
    let (application, _, alice) = server.application_with("alice").await;
    let other = server.application_named(&application.owner, "Other").await;
    let (mut other_stream, _) = Socket::stream(&server, &other).await;
    let (mut first, _) = Socket::stream(&server, &application).await;
    let (mut second, _) = Socket::stream(&server, &application).await;
    let mut plain = Socket::app(&server, &application, SocketRequest::app(&application)).await;
    plain.expect_status(alice, "offline").await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    for status in ["online", "unavailable"] {
        device.report(status).await;
        let seen = first.expect_status(alice, status).await;
        assert_eq!(second.expect_status(alice, status).await, seen);
        assert_eq!(plain.expect_status(alice, status).await, seen);
    }
    other_stream.expect_no_stream_frame().await;
}

#[tokio::test]
async fn a_revoked_grant_is_reported_once_and_then_no_more_updates_follow() {
    let server = Server::start(unlimited_rates()).await;
    let (application, alice, uid) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let mut plain = Socket::app(&server, &application, SocketRequest::app(&application)).await;
    plain.expect_status(uid, "offline").await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    stream.expect_status(uid, "online").await;
    plain.expect_status(uid, "online").await;
    alice.revoke(&application).await;
    for socket in [&mut stream, &mut plain] {
        let last = socket.expect_status(uid, "offline").await;
        assert_eq!(last["revoked"], true, "{last}");
    }
    device.report("unavailable").await;
    stream.expect_no_stream_frame().await;
    let again = alice.grant(&application).await;
    assert_ne!(again, uid);
    stream.expect_status(again, "unavailable").await;
    plain.expect_status(again, "unavailable").await;
    // The revocation of a grant of an offline user publishes only that the PUID is invalid.
    device.close(None).await;
    stream.expect_status(again, "offline").await;
    alice.revoke(&application).await;
    assert_eq!(stream.expect_status(again, "offline").await["revoked"], true);
}

/// Returns all updates up to the one with the status `unavailable`.
async fn updates_to_the_end(stream: &mut Socket) -> Vec<Value> {
    let mut updates: Vec<Value> = Vec::new();
    while updates.last().is_none_or(|last| last["status"] != "unavailable") {
        let frame = stream.receive().await;
        match frame["presence"].as_array() {
            Some(batch) => updates.extend(batch.clone()),
            None => updates.push(frame),
        }
    }
    updates
}

#[tokio::test]
async fn a_slow_reader_gets_only_the_newest_status_of_each_user() {
    const FLIPS: usize = 2_000;
    let server = Server::start(unlimited_rates().with("write-seconds", 60)).await;
    let (application, _, uid) = server.application_with("alice").await;
    let request = SocketRequest::app(&application).small_receive_buffer();
    let mut plain = Socket::app(&server, &application, request.clone()).await;
    let mut paged = Socket::app(&server, &application, request.v1()).await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    // The loop fills the buffers between the server and the readers. A long text fills them sooner.
    let padding = "𝄞".repeat(120);
    for part in 0..FLIPS / 100 {
        let text = |n: usize| format!("{} {padding}", part * 100 + n);
        device.send_all((0..100).map(|n| json!({"status": "online", "message": text(n)}))).await;
        for _ in 0..100 {
            device.expect_ok().await;
        }
    }
    device.report("unavailable").await;
    for stream in [&mut plain, &mut paged] {
        let updates = updates_to_the_end(stream).await;
        assert!(updates.iter().all(|update| uid_of(update) == uid));
        assert!(updates.len() < FLIPS, "{} updates", updates.len());
        let versions: Vec<_> = updates.iter().map(|update| update["version"].as_u64()).collect();
        assert!(versions.is_sorted(), "versions only grow");
    }
}

#[tokio::test]
async fn all_pages_of_a_snapshot_show_the_same_moment() {
    const USERS: usize = 501;
    // Pings are off, because the first devices do not read until the last one is connected, which
    // can take more than a minute.
    let server = Server::start(unlimited_rates().with("ping-seconds", 600)).await;
    let owner = server.sign_in("developer").await;
    let application = server.application(&owner).await;
    let mut devices = Vec::new();
    for n in 0..USERS {
        let user = server.sign_in(&format!("user-{n}")).await;
        user.grant(&application).await;
        let mut device = Socket::device(&server).await;
        device.send(json!({"token": user.token, "status": "online"})).await;
        device.expect_ok().await;
        devices.push(device);
    }
    let request = SocketRequest::app(&application).v1();
    let mut stream = Socket::app(&server, &application, request).await;
    let first = stream.receive().await;
    assert_eq!(fields(&first), ["more", "presence", "snapshot"]);
    assert_eq!(first["more"], true);
    assert_eq!(first["presence"].as_array().unwrap().len(), 500);
    let last = stream.receive().await;
    assert_eq!(fields(&last), ["cursor", "presence", "snapshot"]);
    assert_eq!(last["presence"].as_array().unwrap().len(), 1);
    let all: BTreeMap<String, &Value> = [&first, &last]
        .into_iter()
        .flat_map(|page| page["presence"].as_array().unwrap())
        .map(|update| (uid_of(update).to_string(), update))
        .collect();
    assert_eq!(all.len(), USERS);
    // The REST call returns pages too.
    let page = application.call("GET", "/presence").await.ok();
    assert_eq!(page["presence"].as_array().unwrap().len(), 500);
    let next = page["next"].as_str().unwrap();
    let page = application.call("GET", &format!("/presence?after={next}")).await.ok();
    assert_eq!(page["presence"].as_array().unwrap().len(), 1);
    assert_eq!(page["next"], Value::Null);
    assert_eq!(stream.within(Duration::ZERO).await, None);
}
