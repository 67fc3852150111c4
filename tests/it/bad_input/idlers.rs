//! Connections on which nothing ever becomes of anything.

use std::time::{Duration, Instant};

use presence_tests::{Server, ServerOptions, Socket, TIMEOUT};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Scene;

#[tokio::test]
async fn half_a_request_is_not_waited_for_for_ever() {
    let mut scene = Scene::with(ServerOptions::default().with("request-seconds", 1)).await;
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
        let mut connection = TcpStream::connect(scene.server.address()).await.unwrap();
        connection.write_all(half.as_bytes()).await.unwrap();
        connections.push(connection);
    }
    scene.all_is_well().await;
    for (connection, half) in connections.iter_mut().zip(halves) {
        let mut rest = Vec::new();
        let ended = timeout(TIMEOUT, connection.read_to_end(&mut rest)).await;
        // SocketEnd, in good order or not.
        assert!(ended.is_ok(), "still open after {half:?}");
    }
    scene.all_is_well().await;
    scene.nothing_is_lost().await;
}

#[tokio::test]
async fn a_connection_is_served_as_long_as_it_asks_and_let_go_when_it_asks_no_more() {
    // Idle for five seconds and twice the ping is idle for too long.
    let options = ServerOptions::default().with("request-seconds", 2).with("ping-seconds", 0.1);
    let server = Server::start(options).await;
    let mut connection = TcpStream::connect(server.address()).await.unwrap();
    let begun = Instant::now();
    // For longer than the first request may take.
    while begun.elapsed() < Duration::from_secs(3) {
        let request = b"GET /__lbheartbeat__ HTTP/1.1\r\nHost: localhost\r\n\r\n";
        connection.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            let read = timeout(TIMEOUT, connection.read_buf(&mut answer)).await.unwrap().unwrap();
            assert!(read > 0, "ended after {:?}", begun.elapsed());
        }
        // The pace of the requests.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let ended = timeout(TIMEOUT, connection.read_to_end(&mut Vec::new())).await;
    assert!(ended.is_ok(), "still open");
}

#[tokio::test]
async fn what_is_no_http_and_what_is_no_upgrade_harms_nobody() {
    let mut scene = Scene::new().await;
    let wire = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"HELO example.org\r\n\r\n".to_vec(),
        [b"GET /".to_vec(), vec![b'a'; 1_000_000]].concat(),
        b"GET /presence HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".to_vec(),
    ];
    for bytes in wire {
        let mut connection = TcpStream::connect(scene.server.address()).await.unwrap();
        // The server may have closed before all is written.
        let _ = connection.write_all(&bytes).await;
        let _ = connection.shutdown().await;
        let mut answer = Vec::new();
        let ended = timeout(TIMEOUT, connection.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "still open");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
        scene.all_is_well().await;
    }
    scene.nothing_is_lost().await;
}

#[tokio::test]
async fn a_socket_that_is_dropped_in_the_middle_of_a_frame_is_a_lost_one() {
    let mut scene = Scene::new().await;
    let mut device = Socket::device_of(&scene.server, "alice", "phone", "offline").await;
    // The head of a masked frame of 100 bytes, and no more.
    device.send_bytes(&[0x81, 0xe4, 0, 0, 0, 0, b'{']).await;
    drop(device);
    scene.all_is_well().await;
    scene.nothing_is_lost().await;
}
