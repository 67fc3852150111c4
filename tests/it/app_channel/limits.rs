//! The limits of an Application's sockets: their number, and the data that may stay unread.

use std::time::{Duration, Instant};

use presence_protocol::{CloseCode, Errno};
use presence_tests::{Server, ServerOptions, Socket, SocketEnd, SocketRequest, TIMEOUT};
use serde_json::json;

#[tokio::test]
async fn one_socket_too_many_is_refused_and_asked_to_come_back_later() {
    let server = Server::start(ServerOptions::default().with("sockets-per-app", 2)).await;
    let (application, _, _) = server.application_with("alice").await;
    let other = server.application_named(&application.owner, "Other").await;
    let (first, _) = Socket::stream(&server, &application).await;
    let (mut second, _) = Socket::stream(&server, &application).await;
    let way = SocketRequest::app(&application).bearer(&application.api_key);
    for by_frame in [true, false] {
        let way = if by_frame { SocketRequest::app(&application) } else { way.clone() };
        let mut third = Socket::open(&server, way).await;
        if by_frame {
            third.send(json!({"action": "auth", "token": application.api_key})).await;
        }
        let refusal = third.expect_error(Errno::TooManyConnections).await;
        assert!(refusal["retry_after"].as_f64().unwrap() > 0.0, "{refusal}");
        third.expect_close(CloseCode::TryAgainLater).await;
    }
    second.expect_no_stream_frame().await;
    Socket::stream(&server, &other).await;
    first.close(None).await;
    Socket::stream(&server, &application).await;
}

/// Changes a user's status more often than the log of an Application holds, while the buffers to a
/// socket that reads little fill.
async fn flood(server: &Server) {
    let mut device = Socket::device_of(server, "alice", "phone", "online").await;
    // A long text fills them sooner.
    let padding = "\u{1d11e}".repeat(120);
    for part in 0..40 {
        let text = |n: usize| format!("{} {padding}", part * 100 + n);
        device.send_all((0..100).map(|n| json!({"status": "online", "message": text(n)}))).await;
        for _ in 0..100 {
            device.expect_ok().await;
        }
    }
}

#[tokio::test]
async fn who_lets_what_is_written_wait_too_long_loses_the_connection() {
    let options = ServerOptions::default().with("write-seconds", 1).with("sockets-per-app", 1);
    let server = Server::start(options).await;
    let (application, _, uid) = server.application_with("alice").await;
    let hello = json!({"status": "online", "message": "\u{1d11e}".repeat(128)});
    let _device =
        Socket::open_authenticated(&server, SocketRequest::device(), "alice", hello).await;
    let way = SocketRequest::app(&application).v1();
    let mut lazy = Socket::app(&server, &application, way.clone().small_receive_buffer()).await;
    // The answers are more than all buffers between the two take.
    let query = json!({"action": "query", "uids": vec![uid; 500]});
    lazy.send_all(vec![query; 50]).await;
    // A free place shows that the socket has ended. The socket itself cannot show it without being
    // read.
    let begun = Instant::now();
    loop {
        let mut next = Socket::open(&server, way.clone().bearer(&application.api_key)).await;
        if next.receive().await["result"] == "OK" {
            break;
        }
        assert!(begun.elapsed() < TIMEOUT, "nobody minds");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (ended, told) = (lazy.ended().await, CloseCode::TooSlowOrTooFast.number());
    assert!(ended == SocketEnd::Closed(Some(told)) || ended == SocketEnd::Lost, "{ended:?}");
}

#[tokio::test]
async fn receipts_that_are_not_read_are_never_left_out_but_end_the_connection() {
    let options = ServerOptions::default()
        .with("status-burst", 1_000_000)
        // The write deadline is too long to end the connection.
        .with("write-seconds", 600)
        .with("app-queue-updates", 50);
    let server = Server::start(options).await;
    let (application, _, _) = server.application_with("alice").await;
    let way = SocketRequest::app(&application).v1().small_receive_buffer();
    let auth = json!({"receipts": true});
    let mut lazy = Socket::app_with(&server, &application, way, auth.clone()).await;
    let snapshot = lazy.receive().await;
    for _ in 0..3 {
        flood(&server).await;
    }
    lazy.expect_close(CloseCode::TooSlowOrTooFast).await;
    let auth = json!({"receipts": true, "cursor": snapshot["cursor"]});
    let mut back =
        Socket::app_with(&server, &application, SocketRequest::app(&application).v1(), auth).await;
    let frame = back.receive().await;
    assert_eq!((&frame["gap"], &frame["snapshot"]), (&json!(true), &json!(true)), "{frame}");
}
