//! The notifications and the registration of a device when connections open and close.

use futures_util::future::join_all;
use presence_protocol::CloseCode;
use presence_tests::{Server, ServerOptions, Socket, SocketRequest, TIMEOUT};
use serde_json::{Value, json};

#[tokio::test]
async fn a_newer_connection_of_a_device_replaces_the_older_and_takes_its_status_over_at_once() {
    // The grace time is long: what is seen at once was not waited for.
    let server = Server::start(ServerOptions::default().with("grace-seconds", 60)).await;
    let (application, _, uid) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let mut older = Socket::device_of(&server, "alice", "phone", "online").await;
    stream.sees(uid, "online").await;
    let mut newer = Socket::device_of(&server, "alice", "phone", "unavailable").await;
    older.expect_close(CloseCode::Replaced).await;
    stream.sees(uid, "unavailable").await;
    newer.report("online").await;
    stream.sees(uid, "online").await;
    stream.expect_no_stream_frame().await;
}

#[tokio::test]
async fn two_devices_without_a_name_replace_each_other_and_named_ones_do_not() {
    let server = Server::quick().await;
    let nameless = || json!({"status": "online"});
    let mut first =
        Socket::open_authenticated(&server, SocketRequest::device(), "alice", nameless()).await;
    let mut named = Socket::device_of(&server, "alice", "phone", "online").await;
    let mut second =
        Socket::open_authenticated(&server, SocketRequest::device(), "alice", nameless()).await;
    first.expect_close(CloseCode::Replaced).await;
    let _default = Socket::device_of(&server, "alice", "default", "online").await;
    second.expect_close(CloseCode::Replaced).await;
    named.expect_no_frame().await;
}

#[tokio::test]
async fn somebody_elses_device_of_the_same_name_is_another_device() {
    let server = Server::quick().await;
    let mut alice = Socket::device_of(&server, "alice", "phone", "online").await;
    let _bob = Socket::device_of(&server, "bob", "phone", "online").await;
    alice.expect_no_frame().await;
}

#[tokio::test]
async fn a_newcomer_that_is_not_verified_replaces_nobody() {
    let server = Server::quick().await;
    let mut older = Socket::device_of(&server, "alice", "phone", "online").await;
    let mut newcomer = Socket::device(&server).await;
    let hello = json!({"email": "alice@dev.localhost", "assertion": "x", "status": "online", "device": "phone"});
    assert_eq!(newcomer.ask(hello).await["errno"], 34);
    older.expect_no_frame().await;
}

/// The number of times that two events are raced, either of which may come first.
const RACES: usize = 60;

#[tokio::test]
async fn a_socket_that_is_just_being_opened_does_not_escape_its_users_signing_out() {
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
async fn a_socket_that_is_just_being_opened_does_not_outlive_its_erased_account() {
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
        // If the device came after the end of the account, it is the first device of a new account.
        if answer["result"] == "OK" && listed["devices"] == Value::Array(Vec::new()) {
            device.ended().await;
        }
    }
}
