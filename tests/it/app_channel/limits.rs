//! How many sockets an Application has, and how much it may leave unread.

use presence_protocol::{CloseCode, Errno};
use presence_tests::{Options, Server, Socket, Way};
use serde_json::json;

#[tokio::test]
async fn one_socket_too_many_is_refused_and_asked_to_come_back_later() {
    let server = Server::start(Options::default().with("sockets-per-app", 2)).await;
    let (application, _, _) = server.application_with("alice").await;
    let other = server.application_named(&application.owner, "Other").await;
    let (first, _) = Socket::stream(&server, &application).await;
    let (mut second, _) = Socket::stream(&server, &application).await;
    let way = Way::app(&application).bearer(&application.api_key);
    for by_frame in [true, false] {
        let way = if by_frame { Way::app(&application) } else { way.clone() };
        let mut third = Socket::open(&server, way).await;
        if by_frame {
            third.send(json!({"action": "auth", "token": application.api_key})).await;
        }
        let refusal = third.hears_ko(Errno::TooManyConnections).await;
        assert!(refusal["retry_after"].as_f64().unwrap() > 0.0, "{refusal}");
        third.is_closed_with(CloseCode::TryAgainLater).await;
    }
    second.stream_has_nothing_more().await;
    Socket::stream(&server, &other).await;
    first.close(None).await;
    Socket::stream(&server, &application).await;
}

#[tokio::test]
async fn receipts_that_are_not_read_are_never_left_out_but_end_the_connection() {
    const FLIPS: usize = 4_000;
    let options = Options::default()
        .with("status-burst", 1_000_000)
        // What ends the connection is not the time.
        .with("write-seconds", 600)
        .with("app-queue-updates", 50);
    let server = Server::start(options).await;
    let (application, _, _) = server.application_with("alice").await;
    let way = Way::app(&application).v1().reading_little();
    let auth = json!({"receipts": true});
    let mut lazy = Socket::app_with(&server, &application, way, auth.clone()).await;
    let snapshot = lazy.hear().await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    // Until the buffers between server and reader are full; a long text fills them sooner.
    let padding = "\u{1d11e}".repeat(120);
    for part in 0..FLIPS / 100 {
        let text = |n: usize| format!("{} {padding}", part * 100 + n);
        device.send_all((0..100).map(|n| json!({"status": "online", "message": text(n)}))).await;
        for _ in 0..100 {
            device.hears_ok().await;
        }
    }
    lazy.is_closed_with(CloseCode::TooSlowOrTooFast).await;
    let auth = json!({"receipts": true, "cursor": snapshot["cursor"]});
    let mut back = Socket::app_with(&server, &application, Way::app(&application).v1(), auth).await;
    let frame = back.hear().await;
    assert_eq!((&frame["gap"], &frame["snapshot"]), (&json!(true), &json!(true)), "{frame}");
}
