//! Connections that send incomplete or no requests.

use std::time::{Duration, Instant};

use presence_tests::{Server, ServerOptions, Socket, TIMEOUT};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::BadInputFixture;

#[tokio::test]
async fn an_incomplete_request_is_closed_after_the_request_timeout() {
    let mut fixture =
        BadInputFixture::with(ServerOptions::default().with("request-seconds", 1)).await;
    let halves = [
        "",
        "GE",
        "GET /presence HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upg",
        "GET /presence HTTP/1.1\r\nHost: localhost\r\nSec-WebSocket-Key: x\r\n",
        "POST /session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: 100\r\n\r\n{\"assertion\":",
    ];
    let mut connections = Vec::new();
    for half in halves {
        let mut connection = TcpStream::connect(fixture.server.address()).await.unwrap();
        connection.write_all(half.as_bytes()).await.unwrap();
        connections.push(connection);
    }
    fixture.check_service().await;
    for (connection, half) in connections.iter_mut().zip(halves) {
        let mut rest = Vec::new();
        let ended = timeout(TIMEOUT, connection.read_to_end(&mut rest)).await;
        // The connection may end with or without an error.
        assert!(ended.is_ok(), "still open after {half:?}");
    }
    fixture.check_service().await;
    fixture.check_queued_notification().await;
}

#[tokio::test]
async fn a_keep_alive_connection_is_served_until_it_is_idle_for_too_long() {
    // A connection is closed after it was idle for five seconds and two ping intervals.
    let options = ServerOptions::default().with("request-seconds", 2).with("ping-seconds", 0.1);
    let server = Server::start(options).await;
    let mut connection = TcpStream::connect(server.address()).await.unwrap();
    let begun = Instant::now();
    // The loop takes longer than the first request may take.
    while begun.elapsed() < Duration::from_secs(3) {
        let request = b"GET /__lbheartbeat__ HTTP/1.1\r\nHost: localhost\r\n\r\n";
        connection.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            let read = timeout(TIMEOUT, connection.read_buf(&mut answer)).await.unwrap().unwrap();
            assert!(read > 0, "ended after {:?}", begun.elapsed());
        }
        // The interval of the requests.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let ended = timeout(TIMEOUT, connection.read_to_end(&mut Vec::new())).await;
    assert!(ended.is_ok(), "still open");
}

#[tokio::test]
async fn invalid_http_and_invalid_upgrades_do_not_disturb_other_clients() {
    let mut fixture = BadInputFixture::new().await;
    let wire = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"HELO example.org\r\n\r\n".to_vec(),
        [b"GET /".to_vec(), vec![b'a'; 1_000_000]].concat(),
        b"GET /presence HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".to_vec(),
    ];
    for bytes in wire {
        let mut connection = TcpStream::connect(fixture.server.address()).await.unwrap();
        // The server may close the connection before all bytes are written.
        let _ = connection.write_all(&bytes).await;
        let _ = connection.shutdown().await;
        let mut answer = Vec::new();
        let ended = timeout(TIMEOUT, connection.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "still open");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
        fixture.check_service().await;
    }
    fixture.check_queued_notification().await;
}

#[tokio::test]
async fn a_socket_that_ends_within_a_frame_counts_as_lost() {
    let mut fixture = BadInputFixture::new().await;
    let mut device = Socket::device_of(&fixture.server, "alice", "phone", "offline").await;
    // The header of a masked frame of 100 bytes, with one byte of its payload.
    device.send_bytes(&[0x81, 0xe4, 0, 0, 0, 0, b'{']).await;
    drop(device);
    fixture.check_service().await;
    fixture.check_queued_notification().await;
}
