//! A flood of assertions does not slow down other users.

use presence_protocol::Errno;
use presence_tests::{Issuer, Key, Server, ServerOptions, Socket};
use serde_json::json;

use super::{server_of, sign_ins};

/// More than may wait for a verification and for an issuer.
const STORM: usize = 300;

/// A server with room for a storm, and a known user in the middle of it.
async fn stage(issuer: &Issuer) -> (Server, Socket) {
    let options = ServerOptions::default()
        .with("browserid-issuers", issuer.host())
        .with("connects-per-second", 10_000)
        .with("status-burst", 10_000)
        .with("hello-seconds", 600);
    let server = Server::start(options).await;
    let known = Socket::device_of(&server, "known", "phone", "online").await;
    (server, known)
}

/// Opens the sockets and mints the assertions first, so that all of these come at once; each is of
/// a user of its own.
async fn unleash(server: &Server, issuer: &Issuer) -> Vec<Socket> {
    let (mut sockets, mut frames) = (Vec::new(), Vec::new());
    for n in 0..STORM {
        sockets.push(Socket::device(server).await);
        let assertion = issuer.assertion(&format!("user{n}"), &server.url());
        frames.push(json!({"assertion": assertion, "status": "online"}));
    }
    for (socket, frame) in sockets.iter_mut().zip(frames) {
        socket.send(frame).await;
    }
    sockets
}

/// Counts the replies: the number of OKs, and of each errno that tells how long to wait.
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
async fn the_same_assertion_on_the_same_socket_is_verified_once() {
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
async fn an_issuer_that_hangs_holds_up_only_so_many_and_no_known_user() {
    let issuer = Issuer::start().await;
    issuer.domain.hold();
    let (server, mut known) = stage(&issuer).await;
    let mut storm = unleash(&server, &issuer).await;
    // The issuer says nothing yet, so that whoever waits for it waits now.
    for status in ["unavailable", "online"].iter().cycle().take(50) {
        known.report(status).await;
    }
    assert!(issuer.domain.asked().len() <= 1, "one question at a time");
    issuer.domain.release();
    let (ok, slow_down, unavailable) = outcomes(&mut storm).await;
    assert_eq!(ok + slow_down + unavailable, STORM);
    assert!(slow_down + unavailable > 0, "nobody was sent away");
    known.report("unavailable").await;
}

#[tokio::test]
async fn a_storm_of_heavy_assertions_is_sent_away_beyond_a_queue_and_holds_up_no_known_user() {
    let issuer = Issuer::with_keys(Key::rsa(), Key::dsa()).await;
    let (server, mut known) = stage(&issuer).await;
    let before = sign_ins(&server).await;
    let mut storm = unleash(&server, &issuer).await;
    for status in ["unavailable", "online"].iter().cycle().take(50) {
        known.report(status).await;
    }
    let (ok, slow_down, unavailable) = outcomes(&mut storm).await;
    assert_eq!((ok + slow_down, unavailable), (STORM, 0));
    assert!(ok > 0 && slow_down > 0, "{ok} {slow_down}");
    assert_eq!(sign_ins(&server).await - before, STORM as u64);
    // After the flood, a new device is accepted again.
    let mut late = Socket::device(&server).await;
    let assertion = issuer.assertion("late", &server.url());
    late.send(json!({"assertion": assertion, "status": "online"})).await;
    late.expect_ok().await;
}
