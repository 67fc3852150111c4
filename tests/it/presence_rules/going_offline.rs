//! The effect of the end of a connection on the presence.

use presence_protocol::CloseCode;
use presence_tests::{FaultProxy, Server, Socket, SocketRequest};
use serde_json::{Value, json};

use super::{long_grace_time, unlimited_rates};

#[tokio::test]
async fn a_clean_close_ends_a_presence_at_once() {
    let server = Server::start(long_grace_time()).await;
    let (application, _, uid) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    for code in [None, Some(1000), Some(1001)] {
        let phone = Socket::device_of(&server, "alice", "phone", "online").await;
        stream.expect_status(uid, "online").await;
        phone.close(code).await;
        stream.expect_status(uid, "offline").await;
    }
    stream.expect_no_stream_frame().await;
}

#[tokio::test]
async fn a_lost_connection_keeps_its_presence_if_the_device_reconnects_in_the_grace_time() {
    let server = Server::start(long_grace_time()).await;
    let (application, alice, uid) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let fault_proxy = FaultProxy::to(&server).await;
    let hello = || json!({"status": "online", "message": "Hi"});
    let request = || SocketRequest::device().through(&fault_proxy);
    let mut phone = Socket::open_authenticated(&server, request(), "alice", hello()).await;
    stream.expect_status(uid, "online").await;
    for cut in [FaultProxy::reset, FaultProxy::hang_up, FaultProxy::half_close] {
        cut(&fault_proxy);
        alice.wait_until_lost("default").await;
        phone = Socket::open_authenticated(&server, request(), "alice", hello()).await;
    }
    for code in [1011, 3000, 4000] {
        phone.close(Some(code)).await;
        alice.wait_until_lost("default").await;
        phone = Socket::open_authenticated(&server, request(), "alice", hello()).await;
    }
    drop(phone);
    alice.wait_until_lost("default").await;
    stream.expect_no_stream_frame().await;
    assert_eq!(application.presence_of(uid).await["status"], "online");
    let _reconnected =
        Socket::open_authenticated(&server, request(), "alice", json!({"status": "unavailable"}))
            .await;
    stream.expect_status(uid, "unavailable").await;
}

#[tokio::test]
async fn a_device_that_misses_the_grace_time_goes_offline_exactly_once() {
    let server = Server::start(unlimited_rates().with("grace-seconds", 0.3)).await;
    let (application, alice, uid) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let phone = Socket::device_of(&server, "alice", "phone", "online").await;
    stream.expect_status(uid, "online").await;
    drop(phone);
    stream.expect_status(uid, "offline").await;
    let devices = alice.call("GET", "/devices").await.ok();
    assert_eq!(devices["devices"], json!([]));
    let _reconnected = Socket::device_of(&server, "alice", "phone", "online").await;
    stream.expect_status(uid, "online").await;
    stream.expect_no_stream_frame().await;
}

#[tokio::test]
async fn ending_a_device_takes_it_offline_at_once_also_in_its_grace_time() {
    let server = Server::start(long_grace_time()).await;
    let (application, alice, uid) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
    stream.expect_status(uid, "online").await;
    alice.call("DELETE", "/devices/phone").await.ok();
    stream.expect_status(uid, "offline").await;
    phone.expect_close(CloseCode::EndedByUser).await;

    let phone = Socket::device_of(&server, "alice", "phone", "online").await;
    stream.expect_status(uid, "online").await;
    drop(phone);
    alice.wait_until_lost("phone").await;
    alice.call("DELETE", "/devices/phone").await.ok();
    stream.expect_status(uid, "offline").await;
}

#[tokio::test]
async fn a_socket_that_the_server_closes_gets_the_grace_time() {
    let server = Server::start(long_grace_time()).await;
    let (application, alice, uid) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let session = server.sign_in("alice").await;
    let mut phone = Socket::device(&server).await;
    phone.send(json!({"token": session.token, "status": "online", "device": "phone"})).await;
    phone.expect_ok().await;
    stream.expect_status(uid, "online").await;
    session.call("DELETE", "/session").await.ok();
    phone.expect_close(CloseCode::NotAuthorised).await;
    alice.wait_until_lost("phone").await;
    stream.expect_no_stream_frame().await;
    let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
    phone.send_binary(b"x").await;
    phone.expect_close(CloseCode::Unsupported).await;
    alice.wait_until_lost("phone").await;
    stream.expect_no_stream_frame().await;
}

#[tokio::test]
async fn the_end_of_a_replaced_connection_changes_nothing() {
    let server = Server::start(unlimited_rates().with("grace-seconds", 0)).await;
    let (application, _, uid) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let fault_proxy = FaultProxy::to(&server).await;
    let hello = json!({"status": "online", "device": "phone"});
    let mut older = Socket::open_authenticated(
        &server,
        SocketRequest::device().through(&fault_proxy),
        "alice",
        hello,
    )
    .await;
    stream.expect_status(uid, "online").await;
    fault_proxy.stall();
    let mut newer = Socket::device_of(&server, "alice", "phone", "online").await;
    // The report and the close frame of the older connection arrive too late.
    older.send(json!({"status": "unavailable"})).await;
    fault_proxy.resume_traffic();
    older.expect_close(CloseCode::Replaced).await;
    older.close(Some(1000)).await;
    newer.expect_no_frame().await;
    stream.expect_no_stream_frame().await;
    let seen = application.presence_of(uid).await;
    assert_eq!((&seen["status"], &seen["message"]), (&json!("online"), &Value::Null));
}
