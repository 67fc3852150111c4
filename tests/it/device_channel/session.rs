//! The lifetime of a device's socket after its proof.

use std::time::{Duration, Instant};

use presence_protocol::{CloseCode, Errno};
use presence_tests::{Server, ServerOptions, Socket, TIMEOUT};
use serde_json::{Value, json};

/// Sends acknowledgements, which cost nothing, until one is not answered with OK; gives what it was
/// answered with.
async fn first_refusal(device: &mut Socket) -> Value {
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < TIMEOUT, "nothing is refused");
        let reply = device.ask(json!({"type": "ack", "ids": [], "id": "probe"})).await;
        if reply["id"] == "probe" && reply["result"] != "OK" {
            return reply;
        }
        // The pace of the probes; nothing is expected in between.
        device.within(Duration::from_millis(50)).await;
    }
}

async fn short_session() -> Server {
    Server::start(ServerOptions::default().with("session-seconds", 1).with("status-burst", 100))
        .await
}

#[tokio::test]
async fn a_session_is_announced_to_end_then_frames_are_refused_then_the_socket_is_closed() {
    let server = short_session().await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    assert_eq!(device.receive().await, json!({"expires_in": 1}));
    let refusal = first_refusal(&mut device).await;
    assert_eq!(refusal["errno"], Errno::SessionExpired.number(), "{refusal}");
    let refused_at = Instant::now();
    device.send(json!({"status": "unavailable"})).await;
    device.expect_error(Errno::SessionExpired).await;
    device.expect_close(CloseCode::NotAuthorised).await;
    // Ten seconds, less what the first refusal may have been late.
    let renewable = refused_at.elapsed();
    assert!(renewable > Duration::from_secs(8), "{renewable:?}");
}

#[tokio::test]
async fn a_minute_before_the_end_is_told_to_the_second() {
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
    stream.sees(uid, "online").await;
    device.receive_until(|frame| frame["expires_in"].is_u64()).await;
    first_refusal(&mut device).await;
    let fresh = server.assertion("alice").await;
    device.send(json!({"assertion": fresh, "status": "unavailable"})).await;
    device.receive_until(|frame| frame["result"] == "OK").await;
    stream.sees(uid, "unavailable").await;
    device.receive_until(|frame| frame["expires_in"].is_u64()).await;
}

#[tokio::test]
async fn a_session_is_not_renewed_by_the_assertion_that_opened_it_nor_by_another_users() {
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
