//! The proofs that a device presents.

use presence_protocol::{CloseCode, Errno};
use presence_tests::{Server, ServerOptions, Socket, SocketRequest, email, forged};
use serde_json::json;

#[tokio::test]
async fn a_frame_before_authentication_is_refused() {
    let server = Server::start_default().await;
    let mut device = Socket::device(&server).await;
    for frame in [
        json!({"status": "online", "email": email("alice")}),
        json!({"type": "visibility", "application_ids": []}),
    ] {
        device.send(frame).await;
        device.expect_error(Errno::NotAuthenticated).await;
    }
}

#[tokio::test]
async fn the_email_must_match_the_assertion_and_cannot_change() {
    let server = Server::start_default().await;
    let mut device = Socket::device(&server).await;
    let assertion = server.assertion("alice").await;
    let first_frame =
        |email: &str| json!({"email": email, "assertion": assertion, "status": "online"});
    device.send(first_frame("bob@dev.localhost")).await;
    device.expect_error(Errno::EmailMismatch).await;
    device.send(first_frame("alice@DEV.localhost")).await;
    device.expect_ok().await;
    device.send(json!({"email": "bob@dev.localhost", "status": "online"})).await;
    device.expect_error(Errno::EmailMismatch).await;
    let bobs_assertion = server.assertion("bob").await;
    device.send(json!({"assertion": bobs_assertion, "status": "online"})).await;
    device.expect_error(Errno::EmailMismatch).await;
    device.report("online").await;
}

#[tokio::test]
async fn an_assertion_is_reusable_only_for_the_same_device() {
    let server = Server::start_default().await;
    let assertion = server.assertion("alice").await;
    let first_frame =
        |device: &str| json!({"assertion": assertion, "status": "online", "device": device});
    let mut first = Socket::device(&server).await;
    for _ in 0..2 {
        first.send(first_frame("phone")).await;
        first.expect_ok().await;
    }
    let mut again = Socket::device(&server).await;
    again.send(first_frame("phone")).await;
    again.expect_ok().await;
    first.expect_close(CloseCode::Replaced).await;
    let mut other = Socket::device(&server).await;
    other.send(first_frame("tablet")).await;
    other.expect_error(Errno::InvalidAssertion).await;
    let session = server.call("POST", "/session").json(&json!({"assertion": assertion})).await;
    session.assert_error(Errno::InvalidAssertion);
}

#[tokio::test]
async fn an_assertion_used_for_a_session_cannot_open_a_socket() {
    let server = Server::start_default().await;
    let assertion = server.assertion("alice").await;
    server.call("POST", "/session").json(&json!({"assertion": assertion})).await.ok();
    let mut device = Socket::device(&server).await;
    device.send(json!({"assertion": assertion, "status": "online"})).await;
    device.expect_error(Errno::InvalidAssertion).await;
}

#[tokio::test]
async fn an_assertion_for_another_audience_is_refused() {
    let server = Server::start_default().await;
    let body = json!({"email": email("alice"), "audience": "http://presence.example"});
    let answer = server.call("POST", "/dev/assertion").json(&body).await.ok();
    let mut device = Socket::device(&server).await;
    device.send(json!({"assertion": answer["assertion"], "status": "online"})).await;
    device.expect_error(Errno::InvalidAssertion).await;
}

#[tokio::test]
async fn a_bearer_token_can_replace_the_assertion() {
    let server = Server::start_default().await;
    let alice = server.sign_in_for("alice", "device").await;
    let mut device = Socket::device(&server).await;
    device.send(json!({"email": email("bob"), "token": alice.token, "status": "online"})).await;
    device.expect_error(Errno::EmailMismatch).await;
    device.send(json!({"email": email("alice"), "token": alice.token, "status": "online"})).await;
    device.expect_ok().await;
    device.send(json!({"token": alice.token, "status": "unavailable"})).await;
    device.expect_ok().await;
}

#[tokio::test]
async fn an_invalid_token_is_refused() {
    let server = Server::start_default().await;
    let mut device = Socket::device(&server).await;
    device.send(json!({"token": "prt_nonsense", "status": "online"})).await;
    device.expect_error(Errno::InvalidAssertion).await;
    let forged = forged(&server.sign_in("alice").await.token);
    device.send(json!({"token": forged, "status": "online"})).await;
    device.expect_error(Errno::SessionExpired).await;
}

#[tokio::test]
async fn a_socket_that_sends_frames_without_authentication_is_closed_with_4003() {
    let server = Server::start(ServerOptions::default().with("hello-seconds", 0.5)).await;
    let mut device = Socket::device(&server).await;
    device.send(json!({"status": "online"})).await;
    device.expect_error(Errno::NotAuthenticated).await;
    device.expect_close(CloseCode::NotAuthorised).await;
}

#[tokio::test]
async fn the_third_invalid_proof_closes_the_connection() {
    // The deadline for the first frame is too long to end it.
    let server = Server::start(ServerOptions::default().with("hello-seconds", 600)).await;
    let mut device = Socket::device(&server).await;
    for _ in 0..3 {
        device.send(json!({"assertion": "nonsense", "status": "online"})).await;
        device.expect_error(Errno::InvalidAssertion).await;
    }
    device.expect_close(CloseCode::NotAuthorised).await;
}

#[tokio::test]
async fn a_cookie_does_not_authenticate_a_socket() {
    let server = Server::start_default().await;
    let alice = server.sign_in("alice").await;
    let cookie = format!("presence={0}; __Host-presence={0}", alice.token);
    let request = SocketRequest::device().header("cookie", &cookie).bearer(&alice.token);
    let mut device = Socket::open(&server, request).await;
    device.send(json!({"status": "online"})).await;
    device.expect_error(Errno::NotAuthenticated).await;
}

#[tokio::test]
async fn signing_out_closes_only_the_sockets_of_that_session() {
    let server = Server::start_default().await;
    let (ended, kept) = (server.sign_in("alice").await, server.sign_in("alice").await);
    let mut devices = Vec::new();
    for (user, name) in [(&ended, "phone"), (&kept, "tablet")] {
        let mut device = Socket::device(&server).await;
        device.send(json!({"token": user.token, "status": "online", "device": name})).await;
        device.expect_ok().await;
        devices.push(device);
    }
    ended.call("DELETE", "/session").await.ok();
    devices[0].expect_close(CloseCode::NotAuthorised).await;
    devices[1].expect_no_frame().await;
    let mut again = Socket::device(&server).await;
    again.send(json!({"token": ended.token, "status": "online"})).await;
    let refusal = again.receive().await;
    assert_eq!(refusal["result"], "KO", "{refusal}");
}

#[tokio::test]
async fn a_bearer_socket_does_not_outlive_its_token() {
    let server = Server::start(ServerOptions::default().with("session-seconds", 1)).await;
    let alice = server.sign_in("alice").await;
    let mut device = Socket::device(&server).await;
    device.send(json!({"token": alice.token, "status": "online"})).await;
    device.receive_until(|frame| frame["result"] == "OK").await;
    device.expect_close(CloseCode::NotAuthorised).await;
}
