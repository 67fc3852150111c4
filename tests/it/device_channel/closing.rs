//! The replacement and the end of a device's connections.

use futures_util::future::join_all;
use presence_protocol::CloseCode;
use presence_tests::{Server, ServerOptions, Socket, SocketRequest, TIMEOUT};
use serde_json::{Value, json};

#[tokio::test]
async fn a_newer_connection_of_a_device_replaces_the_older_one_without_a_gap() {
    // The grace time is too long to cause the updates.
    let server = Server::start(ServerOptions::default().with("grace-seconds", 60)).await;
    let (application, _, uid) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let mut older = Socket::device_of(&server, "alice", "phone", "online").await;
    stream.expect_status(uid, "online").await;
    let mut newer = Socket::device_of(&server, "alice", "phone", "unavailable").await;
    older.expect_close(CloseCode::Replaced).await;
    stream.expect_status(uid, "unavailable").await;
    newer.report("online").await;
    stream.expect_status(uid, "online").await;
    stream.expect_no_stream_frame().await;
}

#[tokio::test]
async fn two_devices_without_a_name_replace_each_other_and_named_ones_do_not() {
    let server = Server::start_default().await;
    let unnamed = || json!({"status": "online"});
    let mut first =
        Socket::open_authenticated(&server, SocketRequest::device(), "alice", unnamed()).await;
    let mut named = Socket::device_of(&server, "alice", "phone", "online").await;
    let mut second =
        Socket::open_authenticated(&server, SocketRequest::device(), "alice", unnamed()).await;
    first.expect_close(CloseCode::Replaced).await;
    let _default = Socket::device_of(&server, "alice", "default", "online").await;
    second.expect_close(CloseCode::Replaced).await;
    named.expect_no_frame().await;
}

#[tokio::test]
async fn devices_of_two_users_with_the_same_name_are_independent() {
    let server = Server::start_default().await;
    let mut alice = Socket::device_of(&server, "alice", "phone", "online").await;
    let _bob = Socket::device_of(&server, "bob", "phone", "online").await;
    alice.expect_no_frame().await;
}

#[tokio::test]
async fn an_unauthenticated_connection_replaces_no_device() {
    let server = Server::start_default().await;
    let mut older = Socket::device_of(&server, "alice", "phone", "online").await;
    let mut unauthenticated = Socket::device(&server).await;
    let hello = json!({"email": "alice@dev.localhost", "assertion": "x", "status": "online", "device": "phone"});
    assert_eq!(unauthenticated.ask(hello).await["errno"], 34);
    older.expect_no_frame().await;
}

/// The number of races between two events, of which either may come first.
const RACES: usize = 60;

#[tokio::test]
async fn a_socket_that_opens_during_a_sign_out_is_closed() {
    let server = Server::start(ServerOptions::default().with("hello-seconds", 1)).await;
    let mut devices = Vec::new();
    for number in 0..RACES {
        let alice = server.sign_in(&format!("alice-{number}")).await;
        let mut device = Socket::device(&server).await;
        let hello = json!({"token": alice.token, "status": "online"});
        let signing_out = alice.call("DELETE", "/session").into_future();
        let (gone, ()) = tokio::join!(signing_out, device.send(hello));
        gone.ok();
        devices.push(device);
    }
    let closed = devices.iter_mut().map(|device| device.expect_close(CloseCode::NotAuthorised));
    join_all(closed).await;
}

#[tokio::test]
async fn a_socket_that_opens_during_an_erasure_is_closed() {
    let server = Server::start(ServerOptions::default().with("hello-seconds", 1)).await;
    for number in 0..RACES {
        let name = format!("alice-{number}");
        let alice = server.sign_in(&name).await;
        let assertion = server.assertion(&name).await;
        let mut device = Socket::device(&server).await;
        let hello = json!({"assertion": assertion, "status": "online"});
        let erasing = alice.call("DELETE", "/account").into_future();
        let (gone, ()) = tokio::join!(erasing, device.send(hello));
        gone.ok();
        let Some(Ok(answer)) = device.within(TIMEOUT).await else { continue };
        let again = server.sign_in(&name).await;
        let listed = again.call("GET", "/devices").await.ok();
        // A device that connects after the erasure is the first device of a new account.
        if answer["result"] == "OK" && listed["devices"] == Value::Array(Vec::new()) {
            device.ended().await;
        }
    }
}
