//! Limits that are settings, tested with values that are not the defaults.

use presence_protocol::{CloseCode, Errno};
use presence_tests::{Server, ServerOptions, Socket, SocketRequest, TIMEOUT};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[tokio::test]
async fn the_length_of_an_applications_texts_is_a_setting() {
    let options = ServerOptions::default()
        .with("app-name-characters", 5)
        .with("app-description-characters", 6)
        .with("app-domain-characters", 12);
    let server = Server::start(options).await;
    let owner = server.sign_in("developer").await;
    let register = |name: &str, domain: &str, description: &str| {
        let body = json!({"name": name, "domain": domain, "description": description});
        owner.call("POST", "/apps").json(&body)
    };
    assert_eq!(register("ééééé", "long.example", "éééééé").await.status, 201);
    for call in [
        register("éééééé", "a.example", ""),
        register("x", "longer.example", ""),
        register("x", "a.example", "ééééééé"),
    ] {
        call.await.assert_error(Errno::InvalidField);
    }
}

#[tokio::test]
async fn the_size_of_frames_and_bodies_is_a_setting() {
    let options = ServerOptions::default()
        .with("device-frame-bytes", 300)
        .with("app-frame-bytes", 400)
        .with("body-bytes", 5_000);
    let server = Server::start(options).await;
    let (application, alice, _) = server.application_with("alice").await;
    let mut phone = Socket::device(&server).await;
    phone.ask(json!({"token": alice.token, "status": "online"})).await;
    // Blanks at the end bring a valid frame up to the limit.
    let fill = |frame: &str, size: usize| format!("{frame}{}", " ".repeat(size - frame.len()));
    phone.send_raw(&fill("{\"status\":\"online\"}", 300)).await;
    phone.expect_ok().await;
    phone.send_raw(&fill("{\"status\":\"online\"}", 301)).await;
    phone.expect_close(CloseCode::TooLarge).await;
    let mut stream =
        Socket::app(&server, &application, SocketRequest::app(&application).v1()).await;
    stream.receive().await;
    let query = "{\"action\":\"query\",\"uids\":[]}";
    stream.send_raw(&fill(query, 400)).await;
    assert_eq!(stream.receive().await["result"], "OK");
    stream.send_raw(&fill(query, 401)).await;
    stream.expect_close(CloseCode::TooLarge).await;
    let register = |size: usize| {
        let body = fill("{\"name\":\"x\",\"domain\":\"a.example\"}", size);
        alice.call("POST", "/apps").body("application/json", body)
    };
    assert_eq!(register(5_000).await.status, 201);
    register(5_001).await.assert_error(Errno::TooLarge);
}

#[tokio::test]
async fn a_body_without_a_content_length_is_limited_too() {
    let server = Server::start(ServerOptions::default().with("body-bytes", 10_000)).await;
    let mut connection = TcpStream::connect(server.address()).await.unwrap();
    let head = "POST /session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
        Transfer-Encoding: chunked\r\n\r\n";
    connection.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("400\r\n{}\r\n", " ".repeat(0x400));
    // The request has no last chunk. The server may answer and close before all of it is written.
    for _ in 0..1_000 {
        if connection.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    let mut answer = [0; 4_096];
    let read = timeout(TIMEOUT, connection.read(&mut answer)).await.unwrap().unwrap_or(0);
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("\"errno\":14"), "{answer}");
}

#[tokio::test]
async fn a_deeply_nested_body_does_no_harm() {
    let server = Server::start_default().await;
    let owner = server.sign_in("developer").await;
    let deep = format!("{}{}", "[".repeat(500_000), "]".repeat(500_000));
    for (body, status) in [
        (deep.clone(), 400),
        (format!("{{\"name\":{deep},\"domain\":\"a.example\"}}"), 400),
        // Unknown fields are skipped at any depth.
        (format!("{{\"name\":\"x\",\"domain\":\"a.example\",\"more\":{deep}}}"), 201),
    ] {
        let answer = owner.call("POST", "/apps").body("application/json", body).await;
        assert_eq!(answer.status, status, "{}", answer.text);
    }
    owner.call("GET", "/apps").await.ok();
}

#[tokio::test]
async fn the_number_of_an_applications_sockets_is_a_setting() {
    let server = Server::start(ServerOptions::default().with("sockets-per-app", 2)).await;
    let (application, _, _) = server.application_with("alice").await;
    let mut sockets = Vec::new();
    for _ in 0..2 {
        sockets.push(Socket::app(&server, &application, SocketRequest::app(&application)).await);
    }
    let mut third = Socket::open(&server, SocketRequest::app(&application)).await;
    third.send(json!({"action": "auth", "token": application.api_key})).await;
    third.expect_error(Errno::TooManyConnections).await;
    third.expect_close(CloseCode::TryAgainLater).await;
}

#[tokio::test]
async fn the_updates_and_the_time_of_a_resumption_are_settings() {
    for (setting, value) in [("app-queue-updates", "3"), ("app-queue-seconds", "0.5")] {
        let options = ServerOptions::default().with(setting, value).with("status-burst", 100);
        let server = Server::start(options).await;
        let (application, _, uid) = server.application_with("alice").await;
        let (mut stream, snapshot) = Socket::stream(&server, &application).await;
        let cursor = snapshot["cursor"].clone();
        let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
        stream.expect_status(uid, "online").await;
        for _ in 0..2 {
            phone.report("unavailable").await;
            stream.expect_status(uid, "unavailable").await;
            phone.report("online").await;
            stream.expect_status(uid, "online").await;
        }
        drop(stream);
        let resumed = async || -> Value {
            let way = SocketRequest::app(&application).v1();
            let auth = json!({"cursor": cursor});
            Socket::app_with(&server, &application, way, auth).await.receive().await
        };
        let gap = async {
            while resumed().await["gap"] != true {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        timeout(TIMEOUT, gap).await.unwrap_or_else(|_| panic!("{setting} is not kept"));
    }
}
