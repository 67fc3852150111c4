//! The updates that an AppService receives, in both forms.

use std::collections::BTreeMap;
use std::time::Duration;

use presence_tests::{Server, ServerOptions, Socket, SocketRequest, uid_of};
use serde_json::{Value, json};

fn lively() -> ServerOptions {
    ServerOptions::default().with("status-burst", 1_000_000).with("connects-per-second", 1_000_000)
}

fn fields(update: &Value) -> Vec<&str> {
    let mut names: Vec<_> = update.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn a_plain_reader_hears_one_update_a_frame_and_first_of_everybody() {
    let server = Server::start(lively()).await;
    let (application, _, alice) = server.application_with("alice").await;
    let bob = server.sign_in("bob").await.grant(&application).await;
    let hello = json!({"status": "online", "message": "At lunch"});
    let mut device =
        Socket::open_authenticated(&server, SocketRequest::device(), "alice", hello).await;
    let mut plain = Socket::app(&server, &application, SocketRequest::app(&application)).await;
    let seen = plain.sees(alice, "online").await;
    assert_eq!(fields(&seen), ["message", "since", "status", "uid", "version"]);
    assert_eq!(seen["message"], "At lunch");
    assert_eq!(seen["since"].as_u64().unwrap() % 1000, 0, "{seen}");
    let absent = plain.sees(bob, "offline").await;
    assert_eq!(fields(&absent), ["since", "status", "uid", "version"]);
    device.report("unavailable").await;
    let later = plain.sees(alice, "unavailable").await;
    assert!(later["version"].as_u64() > seen["version"].as_u64(), "{later}");
    device.close(None).await;
    let gone = plain.sees(alice, "offline").await;
    assert!(gone["version"].as_u64() > later["version"].as_u64(), "{gone}");
    plain.expect_no_stream_frame().await;
}

#[tokio::test]
async fn a_paged_reader_hears_a_snapshot_of_those_who_are_there_then_batches() {
    let server = Server::start(lively()).await;
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
    // Also of somebody who was there, a later snapshot says nothing.
    device.close(None).await;
    stream.sees(alice, "offline").await;
    let (_later, snapshot) = Socket::stream(&server, &application).await;
    assert_eq!(snapshot["presence"], json!([batch["presence"][0]]));
    let polled = application.call("GET", "/presence").await.ok();
    assert_eq!(polled["presence"], snapshot["presence"]);
}

#[tokio::test]
async fn all_sockets_of_an_application_hear_everything_and_others_nothing() {
    let server = Server::start(lively()).await;
    let (application, _, alice) = server.application_with("alice").await;
    let other = server.application_named(&application.owner, "Other").await;
    let (mut other_stream, _) = Socket::stream(&server, &other).await;
    let (mut first, _) = Socket::stream(&server, &application).await;
    let (mut second, _) = Socket::stream(&server, &application).await;
    let mut plain = Socket::app(&server, &application, SocketRequest::app(&application)).await;
    plain.sees(alice, "offline").await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    for status in ["online", "unavailable"] {
        device.report(status).await;
        let seen = first.sees(alice, status).await;
        assert_eq!(second.sees(alice, status).await, seen);
        assert_eq!(plain.sees(alice, status).await, seen);
    }
    other_stream.expect_no_stream_frame().await;
}

#[tokio::test]
async fn a_revoked_user_is_told_of_once_more_and_never_again() {
    let server = Server::start(lively()).await;
    let (application, alice, uid) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let mut plain = Socket::app(&server, &application, SocketRequest::app(&application)).await;
    plain.sees(uid, "offline").await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    stream.sees(uid, "online").await;
    plain.sees(uid, "online").await;
    alice.revoke(&application).await;
    for socket in [&mut stream, &mut plain] {
        let last = socket.sees(uid, "offline").await;
        assert_eq!(last["revoked"], true, "{last}");
    }
    device.report("unavailable").await;
    stream.expect_no_stream_frame().await;
    let again = alice.grant(&application).await;
    assert_ne!(again, uid);
    stream.sees(again, "unavailable").await;
    plain.sees(again, "unavailable").await;
    // The end of a grant of an offline user shows only that the PUID is dead.
    device.close(None).await;
    stream.sees(again, "offline").await;
    alice.revoke(&application).await;
    assert_eq!(stream.sees(again, "offline").await["revoked"], true);
}

/// All updates up to the one that says `unavailable`.
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
async fn a_reader_that_lags_gets_the_newest_of_each_user_and_no_backlog() {
    const FLIPS: usize = 2_000;
    let server = Server::start(lively().with("write-seconds", 60)).await;
    let (application, _, uid) = server.application_with("alice").await;
    let way = SocketRequest::app(&application).small_receive_buffer();
    let mut plain = Socket::app(&server, &application, way.clone()).await;
    let mut paged = Socket::app(&server, &application, way.v1()).await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    // Until the buffers between server and readers are full; a long text fills them sooner.
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
async fn a_snapshot_of_more_than_a_page_is_one_cut_and_says_where_it_goes_on() {
    const USERS: usize = 501;
    // Pings are off: the first devices do not read before the last is connected, which takes a busy
    // machine more than a minute.
    let server = Server::start(lively().with("ping-seconds", 600)).await;
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
    let way = SocketRequest::app(&application).v1();
    let mut stream = Socket::app(&server, &application, way).await;
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
    // The poll pages too.
    let page = application.call("GET", "/presence").await.ok();
    assert_eq!(page["presence"].as_array().unwrap().len(), 500);
    let next = page["next"].as_str().unwrap();
    let page = application.call("GET", &format!("/presence?after={next}")).await.ok();
    assert_eq!(page["presence"].as_array().unwrap().len(), 1);
    assert_eq!(page["next"], Value::Null);
    assert_eq!(stream.within(Duration::ZERO).await, None);
}
