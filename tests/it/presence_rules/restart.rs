//! A restart of the server does not make users appear offline.

use presence_tests::{Server, Socket, SocketRequest, StoppedServer};
use serde_json::{Value, json};

use super::unlimited_rates;

async fn is_warming_up(server: &Server) -> bool {
    server.call("GET", "/__heartbeat__").await.ok()["warming_up"] == true
}

#[tokio::test]
async fn a_device_that_reconnects_after_a_restart_never_appears_offline() {
    let mut server = Server::start(unlimited_rates().with("warm-up-seconds", 3)).await;
    assert!(!is_warming_up(&server).await);
    let (application, _, alice) = server.application_with("alice").await;
    let bob = server.sign_in("bob").await.grant(&application).await;
    let mut devices = Vec::new();
    for name in ["alice", "bob"] {
        devices.push(Socket::device_of(&server, name, "phone", "online").await);
    }
    let (mut before, snapshot) = Socket::stream(&server, &application).await;
    assert_eq!(snapshot["presence"].as_array().unwrap().len(), 2);
    let stopping = async {
        for device in &mut devices {
            assert_eq!(device.closed().await, Some(1001));
        }
        assert_eq!(before.closed().await, Some(1001));
    };
    server.signal("TERM").await;
    stopping.await;
    assert_eq!(server.stopped().await, StoppedServer::With(0));
    server.restart_in_place().await;
    assert!(is_warming_up(&server).await);
    assert_eq!(application.call("GET", "/presence").await.ok()["warming_up"], true);

    let request = SocketRequest::app(&application);
    let auth = json!({"cursor": snapshot["cursor"]});
    let mut paged = Socket::app_with(&server, &application, request.clone().v1(), auth).await;
    let mut plain = Socket::app(&server, &application, request).await;
    plain.expect_no_stream_frame().await;
    paged.expect_no_stream_frame().await;
    let _alice = Socket::device_of(&server, "alice", "phone", "online").await;
    // Changes are sent at once, and the snapshot waits.
    plain.expect_status(alice, "online").await;
    let batch = paged.receive().await;
    assert_eq!((&batch["snapshot"], &batch["gap"]), (&Value::Null, &Value::Null), "{batch}");
    assert_eq!(batch["presence"][0]["uid"], alice.to_string());
    let snapshot = paged.receive().await;
    assert_eq!((&snapshot["snapshot"], &snapshot["gap"]), (&json!(true), &json!(true)));
    assert_eq!(snapshot["presence"].as_array().unwrap().len(), 1, "{snapshot}");
    assert_eq!(snapshot["presence"][0]["uid"], alice.to_string());
    plain.expect_status(bob, "offline").await;
    assert!(!is_warming_up(&server).await);
    plain.expect_no_stream_frame().await;
    paged.expect_no_stream_frame().await;
}

#[tokio::test]
async fn a_kill_right_after_a_device_connects_is_followed_by_a_warm_up() {
    let mut server = Server::start(unlimited_rates().with("warm-up-seconds", 60)).await;
    let phone = Socket::device_of(&server, "alice", "phone", "online").await;
    server.kill().await;
    drop(phone);
    server.restart().await;
    assert!(is_warming_up(&server).await);
}

#[tokio::test]
async fn a_restart_without_connected_devices_has_no_warm_up() {
    let mut server = Server::start(unlimited_rates().with("warm-up-seconds", 60)).await;
    let (application, _, uid) = server.application_with("alice").await;
    assert_eq!(server.terminate().await, StoppedServer::With(0));
    server.restart().await;
    assert!(!is_warming_up(&server).await);
    Socket::stream(&server, &application).await;
    let mut plain = Socket::app(&server, &application, SocketRequest::app(&application)).await;
    plain.expect_status(uid, "offline").await;
}

#[tokio::test]
async fn versions_grow_over_a_crash() {
    let mut server = Server::start(unlimited_rates().with("warm-up-seconds", 0)).await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut highest = 0;
    for _ in 0..3 {
        let (mut stream, _) = Socket::stream(&server, &application).await;
        let phone = Socket::device_of(&server, "alice", "phone", "online").await;
        let online = stream.expect_status(uid, "online").await["version"].as_u64().unwrap();
        phone.close(None).await;
        let offline = stream.expect_status(uid, "offline").await["version"].as_u64().unwrap();
        assert!(highest < online && online < offline, "{highest} {online} {offline}");
        server.kill().await;
        server.restart().await;
        highest = application.presence_of(uid).await["version"].as_u64().unwrap();
        assert!(offline < highest, "{offline} {highest}");
    }
}
