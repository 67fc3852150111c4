//! Clients that have not proven who they are: the size of their requests, the number of their
//! connections, and their place near the limit of open files.

use std::net::SocketAddr;
use std::time::Duration;

use presence_protocol::{CloseCode, Errno};
use presence_tests::{Server, ServerOptions, Socket, SocketRequest, TIMEOUT};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const REQUEST: &str = "GET /__lbheartbeat__ HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Sends a request on a new connection, and returns it with the head of the response.
async fn request(address: SocketAddr, head: &str) -> (TcpStream, String) {
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 1024];
    let read = timeout(TIMEOUT, connection.read(&mut answer)).await;
    let read = read.unwrap_or_else(|_| panic!("no answer")).unwrap_or(0);
    (connection, String::from_utf8_lossy(&answer[..read]).into_owned())
}

#[tokio::test]
async fn a_body_of_a_stranger_has_at_most_16_kib() {
    let server = Server::start_default().await;
    let alice = server.sign_in("alice").await;
    let body = |bytes: usize| {
        let fields = "{\"name\":\"x\",\"domain\":\"a.example\",\"description\":\"\"}";
        format!("{fields}{}", " ".repeat(bytes - fields.len()))
    };
    let post = |bytes: usize| server.call("POST", "/session").body("application/json", body(bytes));
    post(16 * 1024).await.assert_error(Errno::MissingField);
    post(16 * 1024 + 1).await.assert_error(Errno::TooLarge);
    let registered = alice.call("POST", "/apps").body("application/json", body(1024 * 1024)).await;
    assert_eq!(registered.status, 201, "{}", registered.text);
}

#[tokio::test]
async fn a_first_frame_of_an_app_service_has_at_most_16_kib() {
    let server = Server::start_default().await;
    let (application, _, _) = server.application_with("alice").await;
    let mut stranger = Socket::open(&server, SocketRequest::app(&application)).await;
    stranger.send_raw(&" ".repeat(17 * 1024)).await;
    stranger.expect_close(CloseCode::TooLarge).await;
    let mut known = Socket::app(&server, &application, SocketRequest::app(&application)).await;
    let query = json!({"action": "query", "uids": [], "id": "large"}).to_string();
    known.send_raw(&format!("{query}{}", " ".repeat(500_000))).await;
    known.receive_until(|frame| frame["id"] == "large").await;
}

#[tokio::test]
async fn strangers_of_one_address_have_a_limit_and_known_clients_do_not_count() {
    let options = ServerOptions::default().with("unproven-connections-per-address", 5);
    let server = Server::start(options).await;
    let (application, alice, _) = server.application_with("alice").await;
    let mut known = Vec::new();
    for n in 0..10 {
        known.push(Socket::device_of(&server, "alice", &format!("phone{n}"), "online").await);
    }
    let mut strangers = Vec::new();
    let refused = loop {
        match Socket::try_open(&server, SocketRequest::device()).await {
            Ok(socket) => strangers.push(socket),
            Err(refused) => break refused,
        }
        assert!(strangers.len() <= 5, "too many are accepted");
    };
    assert_eq!((refused.status, &refused.body["errno"]), (429, &json!(21)));
    // A client with a credential is let in, and open sockets stay open.
    alice.call("GET", "/grants").await.ok();
    let with_key = SocketRequest::app(&application).bearer(&application.api_key);
    let mut service = Socket::open(&server, with_key).await;
    assert_eq!(service.receive().await["result"], "OK");
    known[0].report("unavailable").await;
    let wrong_key = SocketRequest::app(&application).bearer("prs_wrong");
    Socket::try_open(&server, wrong_key).await.unwrap_err();
    drop(strangers);
    let reconnect = async {
        while Socket::try_open(&server, SocketRequest::device()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(TIMEOUT, reconnect).await.unwrap();
}

#[tokio::test]
async fn behind_a_proxy_strangers_count_by_their_own_addresses() {
    let options = ServerOptions::default()
        .production()
        .with("unproven-connections-per-address", 1)
        .with("trusted-proxies", "127.0.0.1");
    let server = Server::start(options).await;
    let from = |client: &str| SocketRequest::device().header("x-forwarded-for", client);
    let _first = Socket::open(&server, from("192.0.2.1")).await;
    let refused = Socket::try_open(&server, from("192.0.2.1")).await.unwrap_err();
    assert_eq!(refused.status, 429);
    let _other = Socket::open(&server, from("192.0.2.2")).await;
}

#[tokio::test]
async fn near_the_file_limit_idle_connections_are_closed_so_that_others_are_served() {
    const FILES: u64 = 200;
    let options = ServerOptions::default()
        .with("unproven-connections-per-address", 10_000)
        .open_files_at_most(FILES);
    let server = Server::start(options).await;
    let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
    let mut idle = Vec::new();
    for _ in 0..FILES + 50 {
        let (connection, answer) = request(server.address(), REQUEST).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        idle.push(connection);
    }
    phone.report("unavailable").await;
    server.call("GET", "/__heartbeat__").await.ok();
}
