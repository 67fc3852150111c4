//! A flood of assertions does not slow down other users.

use presence_protocol::Errno;
use presence_tests::{Issuer, Key, Server, ServerOptions, Socket};
use serde_json::json;

use super::{server_of, sign_ins};

/// The number of assertions, which exceeds the queues for verifications and for issuers.
const FLOOD_SIZE: usize = 300;

/// Starts a server with high limits, and connects a user.
async fn start_server(issuer: &Issuer) -> (Server, Socket) {
    let options = ServerOptions::default()
        .with("browserid-issuers", issuer.host())
        .with_metrics()
        .with("connects-per-second", 10_000)
        .with("unproven-connections-per-address", 10_000)
        .with("status-burst", 10_000)
        .with("hello-seconds", 600);
    let server = Server::start(options).await;
    let connected = Socket::device_of(&server, "known", "phone", "online").await;
    (server, connected)
}

/// Opens the sockets and mints the assertions, each of another user, and then sends all of them at
/// once.
async fn start_flood(server: &Server, issuer: &Issuer) -> Vec<Socket> {
    let (mut sockets, mut frames) = (Vec::new(), Vec::new());
    for n in 0..FLOOD_SIZE {
        sockets.push(Socket::device(server).await);
        let assertion = issuer.assertion(&format!("user{n}"), &server.url());
        frames.push(json!({"assertion": assertion, "status": "online"}));
    }
    for (socket, frame) in sockets.iter_mut().zip(frames) {
        socket.send(frame).await;
    }
    sockets
}

/// Counts the replies: the number of OKs, and of each errno with a `retry_after`.
async fn outcomes(sockets: &mut [Socket]) -> (usize, usize, usize) {
    let (mut ok, mut slow_down, mut unavailable) = (0, 0, 0);
    for socket in sockets {
        let answer = socket.receive().await;
        let errno = answer["errno"].as_u64();
        if answer == json!({"result": "OK"}) {
            ok += 1;
            continue;
        }
        assert!(answer["retry_after"].as_f64() > Some(0.0), "{answer}");
        if errno == Some(Errno::SlowDown.number().into()) {
            slow_down += 1;
        } else {
            assert_eq!(errno, Some(Errno::IdentityUnavailable.number().into()), "{answer}");
            unavailable += 1;
        }
    }
    (ok, slow_down, unavailable)
}

#[tokio::test]
async fn a_repeated_assertion_on_the_same_socket_is_verified_once() {
    let issuer = Issuer::start().await;
    let server = server_of(&issuer).await;
    let mut device = Socket::device(&server).await;
    let assertion = issuer.assertion("alice", &server.url());
    let hello = json!({"assertion": assertion, "email": issuer.email("alice"), "status": "online"});
    for _ in 0..4 {
        device.send(hello.clone()).await;
        device.expect_ok().await;
    }
    assert_eq!(sign_ins(&server).await, 1);
    let fresh = issuer.assertion("alice", &server.url());
    device.send(json!({"assertion": fresh, "status": "online"})).await;
    device.expect_ok().await;
    assert_eq!(sign_ins(&server).await, 2);
}

#[tokio::test]
async fn a_hanging_issuer_blocks_a_bounded_number_of_clients_and_no_connected_user() {
    let issuer = Issuer::start().await;
    issuer.domain.hold();
    let (server, mut connected) = start_server(&issuer).await;
    let mut flood = start_flood(&server, &issuer).await;
    // The issuer does not respond yet, so that its clients wait now.
    for status in ["unavailable", "online"].iter().cycle().take(50) {
        connected.report(status).await;
    }
    assert!(issuer.domain.requested_paths().len() <= 1, "more than one request");
    issuer.domain.release();
    let (ok, slow_down, unavailable) = outcomes(&mut flood).await;
    assert_eq!(ok + slow_down + unavailable, FLOOD_SIZE);
    assert!(slow_down + unavailable > 0, "no assertion was refused");
    connected.report("unavailable").await;
}

#[tokio::test]
async fn a_flood_of_expensive_assertions_is_refused_beyond_a_queue_and_delays_no_connected_user() {
    let issuer = Issuer::with_keys(Key::rsa(), Key::dsa()).await;
    let (server, mut connected) = start_server(&issuer).await;
    let before = sign_ins(&server).await;
    let mut flood = start_flood(&server, &issuer).await;
    for status in ["unavailable", "online"].iter().cycle().take(50) {
        connected.report(status).await;
    }
    let (ok, slow_down, unavailable) = outcomes(&mut flood).await;
    assert_eq!((ok + slow_down, unavailable), (FLOOD_SIZE, 0));
    assert!(ok > 0 && slow_down > 0, "{ok} {slow_down}");
    assert_eq!(sign_ins(&server).await - before, FLOOD_SIZE as u64);
    // After the flood, a new device is accepted again.
    let mut late = Socket::device(&server).await;
    let assertion = issuer.assertion("late", &server.url());
    late.send(json!({"assertion": assertion, "status": "online"})).await;
    late.expect_ok().await;
}
