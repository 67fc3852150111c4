//! Frames that no other rate limits: wrong ones, pings, acknowledgements, queries and repeated
//! `auth`.

use std::time::{Duration, Instant};

use presence_protocol::{CloseCode, Errno};
use presence_tests::{Server, ServerOptions, Socket, SocketRequest};
use serde_json::{Value, json};

/// A burst of three frames, and then one each second.
fn few_frames() -> ServerOptions {
    ServerOptions::default().with("frame-burst", 3).with("frame-per-second", 1)
}

#[tokio::test]
async fn wrong_frames_of_a_device_have_a_rate_and_close_the_socket_at_last() {
    let server = Server::start(few_frames()).await;
    for wrong in ["{", r#"{"type":"unknown"}"#, r#"{"status":"online","message":7}"#] {
        let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
        let mut errnos = Vec::new();
        for _ in 0..40 {
            phone.send_raw(wrong).await;
        }
        while let Some(Ok(frame)) = phone.within(Duration::from_secs(30)).await {
            errnos.push(frame["errno"].as_u64());
        }
        let slow_down = Some(u64::from(Errno::SlowDown.number()));
        assert!(errnos.ends_with(&[slow_down; 19]), "{wrong}: {errnos:?}");
    }
}

#[tokio::test]
async fn wrong_frames_of_an_app_service_have_a_rate() {
    let server = Server::start(few_frames()).await;
    let (application, _, _) = server.application_with("alice").await;
    let mut service = Socket::app(&server, &application, SocketRequest::app(&application)).await;
    for _ in 0..40 {
        service.send_raw("{").await;
    }
    service.expect_close(CloseCode::TooSlowOrTooFast).await;
}

#[tokio::test]
async fn wrong_frames_before_the_authentication_close_the_socket() {
    let server = Server::start_default().await;
    for request in [SocketRequest::device(), SocketRequest::to("/myapps/")] {
        let mut stranger = Socket::open(&server, request).await;
        for _ in 0..40 {
            stranger.send_raw("{").await;
        }
        stranger.expect_close(CloseCode::TooSlowOrTooFast).await;
    }
}

#[tokio::test]
async fn a_flood_of_pings_closes_the_socket() {
    let server = Server::start(few_frames()).await;
    let (application, _, _) = server.application_with("alice").await;
    let phone = Socket::device_of(&server, "alice", "phone", "online").await;
    let service = Socket::app(&server, &application, SocketRequest::app(&application)).await;
    let stranger = Socket::open(&server, SocketRequest::device()).await;
    for mut socket in [phone, service, stranger] {
        for _ in 0..40 {
            socket.send_ping().await;
        }
        socket.expect_close(CloseCode::TooSlowOrTooFast).await;
    }
}

#[tokio::test]
async fn the_pings_of_a_usual_client_never_close_its_socket() {
    let server = Server::start_default().await;
    let (application, _, _) = server.application_with("alice").await;
    let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
    let mut service = Socket::app(&server, &application, SocketRequest::app(&application)).await;
    // As many as a client sends that pings each second, while the budget is not even refilled.
    for _ in 0..100 {
        phone.send_ping().await;
        service.send_ping().await;
    }
    phone.expect_no_frame().await;
    service.frames_until_now().await;
}

/// The number of frames of which some are beyond the burst.
const FRAMES: usize = 8;

/// Sends frames, expects that none is refused for its rate, and returns the time that it took.
async fn time_of(socket: &mut Socket, frame: &Value) -> Duration {
    let began = Instant::now();
    socket.send_all(std::iter::repeat_n(frame.clone(), FRAMES)).await;
    for _ in 0..FRAMES {
        let reply = socket.receive_until(|reply| reply["result"].is_string()).await;
        assert_ne!(reply["errno"], Errno::SlowDown.number(), "{reply}");
    }
    began.elapsed()
}

#[tokio::test]
async fn acknowledgements_queries_and_repeated_auth_wait_and_are_not_refused() {
    let server = Server::start(few_frames().with("frame-per-second", 5)).await;
    let (application, _, _) = server.application_with("alice").await;
    // Five frames are beyond the burst of three.
    let at_least = Duration::from_millis(900);
    let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
    assert!(time_of(&mut phone, &json!({"type": "ack", "ids": []})).await > at_least);
    let mut service = Socket::app(&server, &application, SocketRequest::app(&application)).await;
    for frame in [
        json!({"action": "query", "uids": []}),
        json!({"action": "auth", "token": application.api_key}),
        json!({"action": "notify", "notifications": [7]}),
    ] {
        assert!(time_of(&mut service, &frame).await > at_least, "{frame}");
    }
}
