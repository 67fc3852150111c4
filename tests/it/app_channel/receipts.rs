//! Receipts, which report the final state of a notification.

use presence_protocol::Puid;
use presence_tests::{Application, Server, Socket, SocketRequest};
use serde_json::{Value, json};

/// Sends a notification and returns its id.
async fn send(application: &Application, uid: Puid, extra: Value) -> String {
    let mut item = json!({"uid": uid, "message": "x", "action": ""});
    if let (Some(item), Value::Object(extra)) = (item.as_object_mut(), extra) {
        item.extend(extra);
    }
    let reply = application.notify(&json!([item])).await.ok();
    reply["results"][0]["id"].as_str().unwrap_or_else(|| panic!("refused: {reply}")).to_owned()
}

async fn expect_receipt(stream: &mut Socket, id: &str, uid: Puid, state: &str) {
    let frame = stream.receive_until(|frame| frame["receipts"].is_array()).await;
    assert_eq!(frame["receipts"], json!([{"id": id, "uid": uid, "state": state}]), "{frame}");
    assert!(frame["cursor"].is_string(), "{frame}");
}

#[tokio::test]
async fn a_receipt_reports_how_a_notification_was_settled() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut stream = Socket::stream_with_receipts(&server, &application).await;
    let mut without_acks = Socket::device_of(&server, "alice", "phone", "online").await;
    let id = send(&application, uid, json!({})).await;
    expect_receipt(&mut stream, &id, uid, "delivered").await;
    without_acks.receive().await;
    without_acks.close(None).await;

    let hello = json!({"status": "online", "acks": true});
    let mut with_acks =
        Socket::open_authenticated(&server, SocketRequest::device(), "alice", hello).await;
    stream.receive_until(|frame| frame["presence"][0]["status"] == "online").await;
    let id = send(&application, uid, json!({})).await;
    let received = with_acks.receive().await;
    assert_eq!(received["notifications"][0]["id"], id.as_str());
    stream.expect_no_stream_frame().await;
    with_acks.send(json!({"type": "ack", "ids": [id]})).await;
    with_acks.expect_ok().await;
    expect_receipt(&mut stream, &id, uid, "acked").await;
    // There is only one receipt for each notification.
    with_acks.send(json!({"type": "ack", "ids": [id]})).await;
    with_acks.expect_ok().await;
    stream.expect_no_stream_frame().await;
}

#[tokio::test]
async fn a_receipt_reports_a_notification_that_was_not_delivered() {
    let server = Server::start_default().await;
    let (application, alice, uid) = server.application_with("alice").await;
    let mut stream = Socket::stream_with_receipts(&server, &application).await;
    let with_ttl_0 = send(&application, uid, json!({"ttl": 0})).await;
    let for_a_second = send(&application, uid, json!({"ttl": 1})).await;
    let frames = stream.frames_until_now().await;
    // A receipt for a user who appears offline must not reveal whether a device was connected.
    let ids: Vec<_> =
        frames.iter().filter_map(|frame| frame["receipts"].as_array()).flatten().collect();
    assert!(
        ids.iter()
            .all(|receipt| receipt["id"] == with_ttl_0.as_str() && receipt["state"] == "dropped"),
        "{frames:?}"
    );
    expect_receipt(&mut stream, &for_a_second, uid, "expired").await;
    let waiting = send(&application, uid, json!({})).await;
    alice.revoke(&application).await;
    expect_receipt(&mut stream, &waiting, uid, "revoked").await;
}

#[tokio::test]
async fn a_full_queue_gives_a_dropped_receipt_for_its_oldest_notification() {
    let server =
        Server::start(presence_tests::ServerOptions::default().with("notify-burst", 1000)).await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut stream = Socket::stream_with_receipts(&server, &application).await;
    let oldest = send(&application, uid, json!({})).await;
    let items = vec![json!({"uid": uid, "message": "x"}); 100];
    let reply = application.notify(&json!(items)).await.ok();
    assert_eq!(reply["queue_size"], 100, "{reply}");
    expect_receipt(&mut stream, &oldest, uid, "dropped").await;
    stream.expect_no_stream_frame().await;
}

#[tokio::test]
async fn receipts_are_sent_only_to_sockets_that_request_them() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    let (mut without, _) = Socket::stream(&server, &application).await;
    let auth = json!({"receipts": true});
    let mut plain =
        Socket::app_with(&server, &application, SocketRequest::app(&application), auth).await;
    plain.expect_status(uid, "online").await;
    let mut with = Socket::stream_with_receipts(&server, &application).await;
    let id = send(&application, uid, json!({})).await;
    device.receive().await;
    expect_receipt(&mut with, &id, uid, "delivered").await;
    for socket in [&mut without, &mut plain] {
        for frame in socket.frames_until_now().await {
            assert_eq!(frame["receipts"], Value::Null, "{frame}");
            assert_eq!(frame["presence"], Value::Null, "{frame}");
        }
    }
}

#[tokio::test]
async fn a_resume_replays_missed_receipts() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    let (stream, snapshot) = Socket::stream(&server, &application).await;
    stream.close(None).await;
    let id = send(&application, uid, json!({})).await;
    device.receive().await;
    let mut watcher = Socket::stream_with_receipts(&server, &application).await;
    let second = send(&application, uid, json!({})).await;
    watcher.receive_until(|frame| frame["receipts"].to_string().contains(&second)).await;
    let auth = json!({"receipts": true, "cursor": snapshot["cursor"]});
    let request = SocketRequest::app(&application).v1();
    let mut resumed = Socket::app_with(&server, &application, request, auth).await;
    let frame = resumed.receive_until(|frame| frame["receipts"].is_array()).await;
    let ids: Vec<_> =
        frame["receipts"].as_array().unwrap().iter().map(|receipt| &receipt["id"]).collect();
    assert_eq!(json!(ids), json!([id, second]), "{frame}");
}
