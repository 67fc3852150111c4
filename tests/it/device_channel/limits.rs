//! The limits of devices: rate, number of connections, silence.

use std::time::{Duration, Instant};

use presence_protocol::{CloseCode, Errno};
use presence_tests::{FaultProxy, Server, ServerOptions, Socket, SocketEnd, SocketRequest};
use serde_json::json;

#[tokio::test]
async fn a_throttled_device_gets_retry_after_and_its_update_is_not_applied() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let begun = Instant::now();
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    for _ in 0..4 {
        device.report("online").await;
    }
    device.send(json!({"status": "unavailable", "id": 7})).await;
    let refusal = device.expect_error(Errno::SlowDown).await;
    assert_eq!(refusal["id"], 7);
    let wait = refusal["retry_after"].as_f64().unwrap();
    assert!(0.0 < wait && wait <= 1.0, "{wait}");
    assert_eq!(application.presence_of(uid).await["status"], "online");
    device.expect_no_frame().await;
    assert_eq!(device.within(Duration::from_secs_f64(wait)).await, None);
    device.report("unavailable").await;
    // The burst is five, so the sixth update is refused for at least a second.
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(application.presence_of(uid).await["status"], "unavailable");
}

#[tokio::test]
async fn acknowledgements_do_not_count_against_the_rate() {
    let server = Server::start_default().await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    for _ in 0..30 {
        device.expect_no_frame().await;
    }
}

#[tokio::test]
async fn a_fresh_assertion_counts_against_the_rate_whatever_frame_has_it() {
    let server = Server::start_default().await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    for _ in 0..50 {
        let assertion = server.assertion("alice").await;
        let reply = device.ask(json!({"type": "ack", "ids": [], "assertion": assertion})).await;
        if reply["result"] != "OK" {
            assert_eq!(reply["errno"], Errno::SlowDown.number(), "{reply}");
            device.expect_no_frame().await;
            return;
        }
    }
    panic!("there is no limit");
}

#[tokio::test]
async fn a_reconnect_does_not_reset_the_rate_and_each_device_has_its_own() {
    let server = Server::start_default().await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    for _ in 0..4 {
        device.report("online").await;
    }
    device.close(None).await;
    let mut again = Socket::device(&server).await;
    let assertion = server.assertion("alice").await;
    again.send(json!({"assertion": assertion, "status": "online", "device": "phone"})).await;
    let refusal = again.expect_error(Errno::SlowDown).await;
    let wait = refusal["retry_after"].as_f64().unwrap();
    Socket::device_of(&server, "alice", "tablet", "online").await;
    assert_eq!(again.within(Duration::from_secs_f64(wait)).await, None);
    again.send(json!({"assertion": assertion, "status": "online", "device": "phone"})).await;
    again.expect_ok().await;
}

#[tokio::test]
async fn repeated_rate_violations_close_the_device() {
    let server = Server::start_default().await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    device.send_all((0..60).map(|id| json!({"status": "online", "id": id}))).await;
    let mut refusals = 0;
    while let Some(Ok(reply)) = device.within(Duration::from_secs(10)).await {
        refusals += usize::from(reply["errno"] == Errno::SlowDown.number());
    }
    assert_eq!(refusals, 20);
    let mut device = Socket::device(&server).await;
    let assertion = server.assertion("alice").await;
    let hello = json!({"assertion": assertion, "status": "online", "device": "other"});
    device.send(hello).await;
    device.expect_ok().await;
    device.send_all((0..60).map(|id| json!({"status": "online", "id": id}))).await;
    device.expect_close(CloseCode::TooSlowOrTooFast).await;
}

#[tokio::test]
async fn the_21st_device_of_a_user_is_refused_with_retry_after() {
    let server = Server::start(ServerOptions::default().with("user-changes-burst", 100)).await;
    let mut devices = Vec::new();
    for n in 0..20 {
        let name = format!("device-{n}");
        devices.push(Socket::device_of(&server, "alice", &name, "online").await);
    }
    let mut one_more = Socket::device(&server).await;
    let assertion = server.assertion("alice").await;
    let hello = json!({"assertion": assertion, "status": "online", "device": "one-more"});
    one_more.send(hello).await;
    let refusal = one_more.expect_error(Errno::TooManyConnections).await;
    assert!(refusal["retry_after"].as_f64().unwrap() > 0.0, "{refusal}");
    one_more.expect_close(CloseCode::TryAgainLater).await;
    // A device that replaces its own connection does not count as another device.
    Socket::device_of(&server, "alice", "device-0", "online").await;
    devices[0].expect_close(CloseCode::Replaced).await;
    Socket::device_of(&server, "bob", "device-0", "online").await;
}

#[tokio::test]
async fn an_address_that_opens_too_many_sockets_gets_retry_after() {
    let server = Server::start(ServerOptions::default().with("connects-per-second", 3)).await;
    let (application, _, _) = server.application_with("alice").await;
    let mut sockets = Vec::new();
    let refused = loop {
        assert!(sockets.len() < 50, "no socket is refused");
        // Both channels share the limit of an address.
        let even = sockets.len().is_multiple_of(2);
        let request = if even { SocketRequest::device() } else { SocketRequest::app(&application) };
        match Socket::try_open(&server, request).await {
            Ok(socket) => sockets.push(socket),
            Err(refused) => break refused,
        }
    };
    assert!(sockets.len() >= 3, "{}", sockets.len());
    refused.assert_error(Errno::TooManyConnections);
    let wait = refused.body["retry_after"].as_f64().unwrap();
    assert!(0.0 < wait && wait <= 1.0, "{wait}");
    tokio::time::sleep(Duration::from_secs_f64(wait)).await;
    Socket::device_of(&server, "alice", "phone", "online").await;
}

#[tokio::test]
async fn a_socket_without_a_first_frame_is_closed() {
    let server = Server::start(ServerOptions::default().with("hello-seconds", 0.3)).await;
    let mut device = Socket::device(&server).await;
    device.expect_close(CloseCode::Silent).await;
}

#[tokio::test]
async fn a_silent_device_stays_connected_only_if_it_answers_pings() {
    let server = Server::start(ServerOptions::default().with("ping-seconds", 0.3)).await;
    let (application, bob, uid) = server.application_with("bob").await;
    let alices = server.sign_in("alice").await.grant(&application).await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let fault_proxy = FaultProxy::to(&server).await;
    let mut alive = Socket::device_of(&server, "alice", "phone", "online").await;
    stream.expect_status(alices, "online").await;
    let hello = json!({"status": "online"});
    let mut dead = Socket::open_authenticated(
        &server,
        SocketRequest::device().through(&fault_proxy),
        "bob",
        hello,
    )
    .await;
    stream.expect_status(uid, "online").await;
    // All sockets answer pings for a while, because they are read.
    let second = Duration::from_secs(1);
    let actual = tokio::join!(alive.within(second), dead.within(second), stream.within(second));
    assert_eq!(actual, (None, None, None));
    dead.expect_no_frame().await;
    fault_proxy.stall();
    let seen = tokio::select! {
        seen = stream.expect_status(uid, "offline") => seen,
        _ = alive.ended() => unreachable!("the device that answers pings was closed"),
    };
    assert_eq!(seen["message"], serde_json::Value::Null);
    let devices = bob.call("GET", "/devices").await.ok();
    assert_eq!(devices["devices"], json!([]), "{devices}");
    fault_proxy.resume_traffic();
    assert_ne!(dead.ended().await, SocketEnd::Closed(Some(1000)));
}
