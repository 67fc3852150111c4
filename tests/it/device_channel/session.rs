//! The lifetime of the session of a device's socket.

use std::time::{Duration, Instant};

use presence_protocol::{CloseCode, Errno};
use presence_tests::{Server, ServerOptions, Socket, TIMEOUT};
use serde_json::{Value, json};

/// Sends acknowledgements, which do not count against the rate, until one is refused, and returns
/// the refusal.
async fn first_refusal(device: &mut Socket) -> Value {
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < TIMEOUT, "no frame is refused");
        let reply = device.ask(json!({"type": "ack", "ids": [], "id": "probe"})).await;
        if reply["id"] == "probe" && reply["result"] != "OK" {
            return reply;
        }
        // The interval of the acknowledgements. Nothing is expected in between.
        device.within(Duration::from_millis(50)).await;
    }
}

async fn short_session() -> Server {
    Server::start(ServerOptions::default().with("session-seconds", 1).with("status-burst", 100))
        .await
}

#[tokio::test]
async fn an_expiring_session_is_announced_then_frames_are_refused_then_the_socket_is_closed() {
    let server = short_session().await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    assert_eq!(device.receive().await, json!({"expires_in": 1}));
    let refusal = first_refusal(&mut device).await;
    assert_eq!(refusal["errno"], Errno::SessionExpired.number(), "{refusal}");
    let refused_at = Instant::now();
    device.send(json!({"status": "unavailable"})).await;
    device.expect_error(Errno::SessionExpired).await;
    device.expect_close(CloseCode::NotAuthorised).await;
    // The limit is ten seconds, less the possible delay of the first refusal.
    let renewable = refused_at.elapsed();
    assert!(renewable > Duration::from_secs(8), "{renewable:?}");
}

#[tokio::test]
async fn the_end_of_a_session_is_announced_60_seconds_before() {
    let server = Server::start(ServerOptions::default().with("session-seconds", 61)).await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    assert_eq!(device.receive_text().await, r#"{"expires_in":60}"#);
}

#[tokio::test]
async fn a_fresh_assertion_renews_a_session_without_a_reconnect_even_after_its_end() {
    let server = short_session().await;
    let (application, _, uid) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    stream.expect_status(uid, "online").await;
    device.receive_until(|frame| frame["expires_in"].is_u64()).await;
    first_refusal(&mut device).await;
    let fresh = server.assertion("alice").await;
    device.send(json!({"assertion": fresh, "status": "unavailable"})).await;
    // The reply may wait for the database, so they come in either order.
    let is_done = |frame: &Value| frame["result"] == "OK";
    let is_warned = |frame: &Value| frame["expires_in"].is_u64();
    let first = device.receive_until(|frame| is_done(frame) || is_warned(frame)).await;
    device.receive_until(if is_done(&first) { is_warned } else { is_done }).await;
    stream.expect_status(uid, "unavailable").await;
}

#[tokio::test]
async fn a_session_is_not_renewed_by_a_used_assertion_or_one_of_another_user() {
    let server = short_session().await;
    let mut device = Socket::device(&server).await;
    let assertion = server.assertion("alice").await;
    device.send(json!({"assertion": assertion, "status": "online"})).await;
    device.expect_ok().await;
    device.receive_until(|frame| frame["expires_in"].is_u64()).await;
    first_refusal(&mut device).await;
    device.send(json!({"assertion": assertion, "status": "online"})).await;
    device.expect_error(Errno::SessionExpired).await;
    let of_bob = server.assertion("bob").await;
    device.send(json!({"assertion": of_bob, "status": "online"})).await;
    device.expect_error(Errno::EmailMismatch).await;
    device.send(json!({"assertion": "nonsense", "status": "online"})).await;
    device.expect_error(Errno::InvalidAssertion).await;
}
