//! The limits of an Application's sockets: their number, and the amount of unread data.

use presence_protocol::{CloseCode, Errno};
use presence_tests::{
    Application, Server, ServerOptions, Socket, SocketEnd, SocketRequest, TIMEOUT,
};
use serde_json::json;
use tokio::time::timeout;

#[tokio::test]
async fn a_socket_above_the_limit_of_an_application_is_refused_with_retry_after() {
    let server = Server::start(ServerOptions::default().with("sockets-per-app", 2)).await;
    let (application, _, _) = server.application_with("alice").await;
    let other = server.application_named(&application.owner, "Other").await;
    let (first, _) = Socket::stream(&server, &application).await;
    let (mut second, _) = Socket::stream(&server, &application).await;
    let request = SocketRequest::app(&application).bearer(&application.api_key);
    for by_frame in [true, false] {
        let request = if by_frame { SocketRequest::app(&application) } else { request.clone() };
        let mut third = Socket::open(&server, request).await;
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

/// Changes the status of users more often than the log of an Application can store, which also
/// fills the buffers of a slow reader. There are several users, since where servers share presence
/// the changes of each wait for the database.
async fn flood(server: &Server, application: &Application) {
    let mut devices = Vec::new();
    for number in 0..20 {
        let name = format!("user{number}");
        server.sign_in(&name).await.grant(application).await;
        devices.push(Socket::device_of(server, &name, "phone", "online").await);
    }
    // A long text fills the buffers sooner.
    let padding = "\u{1d11e}".repeat(120);
    for part in 0..6 {
        let text = |n: usize| format!("{} {padding}", part * 100 + n);
        for device in &mut devices {
            let frame = |n| json!({"status": "online", "message": text(n)});
            device.send_all((0..100).map(frame)).await;
        }
        for device in &mut devices {
            for _ in 0..100 {
                device.expect_ok().await;
            }
        }
    }
}

#[tokio::test]
async fn a_reader_that_exceeds_the_write_deadline_is_disconnected() {
    let options = ServerOptions::default().with("write-seconds", 1).with("sockets-per-app", 1);
    let server = Server::start(options.with_metrics()).await;
    let (application, _, uid) = server.application_with("alice").await;
    let hello = json!({"status": "online", "message": "\u{1d11e}".repeat(128)});
    let _device =
        Socket::open_authenticated(&server, SocketRequest::device(), "alice", hello).await;
    let request = SocketRequest::app(&application).v1();
    let mut slow_reader =
        Socket::app(&server, &application, request.clone().small_receive_buffer()).await;
    // The replies exceed all buffers between the server and the client.
    let query = json!({"action": "query", "uids": vec![uid; 500]});
    slow_reader.send_all(vec![query; 50]).await;
    // The test does not read the slow socket, so it cannot see its end there. With a limit of one
    // socket, a new one is accepted only after the slow one has ended.
    let ended = async {
        while server.metrics().await.text.lines().any(|line| line == "presence_app_sockets 1") {}
    };
    timeout(TIMEOUT, ended).await.unwrap();
    let mut next = Socket::open(&server, request.bearer(&application.api_key)).await;
    assert_eq!(next.receive().await["result"], "OK");
    let (ended, expected) = (slow_reader.ended().await, CloseCode::TooSlowOrTooFast.number());
    assert!(ended == SocketEnd::Closed(Some(expected)) || ended == SocketEnd::Lost, "{ended:?}");
}

#[tokio::test]
async fn too_many_unread_receipts_close_the_connection_and_none_is_skipped() {
    let options = ServerOptions::default()
        .with("status-burst", 1_000_000)
        // Neither the write deadline nor the silence of the reader ends the connection.
        .with("write-seconds", 600)
        .with("ping-seconds", 600)
        .with("app-queue-updates", 50);
    let server = Server::start(options).await;
    let (application, _, _) = server.application_with("alice").await;
    let request = SocketRequest::app(&application).v1().small_receive_buffer();
    let auth = json!({"receipts": true});
    let mut slow_reader = Socket::app_with(&server, &application, request, auth.clone()).await;
    let snapshot = slow_reader.receive().await;
    flood(&server, &application).await;
    slow_reader.expect_close(CloseCode::TooSlowOrTooFast).await;
    let auth = json!({"receipts": true, "cursor": snapshot["cursor"]});
    let mut reconnected =
        Socket::app_with(&server, &application, SocketRequest::app(&application).v1(), auth).await;
    let frame = reconnected.receive().await;
    assert_eq!((&frame["gap"], &frame["snapshot"]), (&json!(true), &json!(true)), "{frame}");
}
