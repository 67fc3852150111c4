//! The last word on a notification.

use presence_protocol::Puid;
use presence_tests::{Application, Server, Socket, SocketRequest};
use serde_json::{Value, json};

async fn stream_with_receipts(server: &Server, application: &Application) -> Socket {
    let way = SocketRequest::app(application).v1();
    let mut stream = Socket::app_with(server, application, way, json!({"receipts": true})).await;
    assert_eq!(stream.receive().await["snapshot"], true);
    stream
}

/// Sends one notification and gives its id.
async fn send(application: &Application, uid: Puid, extra: Value) -> String {
    let mut item = json!({"uid": uid, "message": "x", "action": ""});
    if let (Some(item), Value::Object(extra)) = (item.as_object_mut(), extra) {
        item.extend(extra);
    }
    let reply = application.notify(&json!([item])).await.ok();
    reply["results"][0]["id"].as_str().unwrap_or_else(|| panic!("refused: {reply}")).to_owned()
}

async fn hears_receipt(stream: &mut Socket, id: &str, uid: Puid, state: &str) {
    let frame = stream.receive_until(|frame| frame["receipts"].is_array()).await;
    assert_eq!(frame["receipts"], json!([{"id": id, "uid": uid, "state": state}]), "{frame}");
    assert!(frame["cursor"].is_string(), "{frame}");
}

#[tokio::test]
async fn a_receipt_tells_how_a_notification_was_taken() {
    let server = Server::quick().await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut stream = stream_with_receipts(&server, &application).await;
    let mut plain_taker = Socket::device_of(&server, "alice", "phone", "online").await;
    let id = send(&application, uid, json!({})).await;
    hears_receipt(&mut stream, &id, uid, "delivered").await;
    plain_taker.receive().await;
    plain_taker.close(None).await;

    let hello = json!({"status": "online", "acks": true});
    let mut acking =
        Socket::open_authenticated(&server, SocketRequest::device(), "alice", hello).await;
    stream.receive_until(|frame| frame["presence"][0]["status"] == "online").await;
    let id = send(&application, uid, json!({})).await;
    let heard = acking.receive().await;
    assert_eq!(heard["notifications"][0]["id"], id.as_str());
    stream.expect_no_stream_frame().await;
    acking.send(json!({"type": "ack", "ids": [id]})).await;
    acking.expect_ok().await;
    hears_receipt(&mut stream, &id, uid, "acked").await;
    // One last word only.
    acking.send(json!({"type": "ack", "ids": [id]})).await;
    acking.expect_ok().await;
    stream.expect_no_stream_frame().await;
}

#[tokio::test]
async fn a_receipt_tells_that_a_notification_was_never_taken() {
    let server = Server::quick().await;
    let (application, alice, uid) = server.application_with("alice").await;
    let mut stream = stream_with_receipts(&server, &application).await;
    let for_now = send(&application, uid, json!({"ttl": 0})).await;
    let for_a_second = send(&application, uid, json!({"ttl": 1})).await;
    let frames = stream.frames_until_now().await;
    // To somebody who is seen offline, no receipt may tell whether a device was there.
    let told: Vec<_> =
        frames.iter().filter_map(|frame| frame["receipts"].as_array()).flatten().collect();
    assert!(
        told.iter()
            .all(|receipt| receipt["id"] == for_now.as_str() && receipt["state"] == "dropped"),
        "{frames:?}"
    );
    hears_receipt(&mut stream, &for_a_second, uid, "expired").await;
    let waiting = send(&application, uid, json!({})).await;
    alice.revoke(&application).await;
    hears_receipt(&mut stream, &waiting, uid, "revoked").await;
}

#[tokio::test]
async fn the_oldest_of_a_full_queue_is_told_to_be_dropped() {
    let server =
        Server::start(presence_tests::ServerOptions::default().with("notify-burst", 1000)).await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut stream = stream_with_receipts(&server, &application).await;
    let oldest = send(&application, uid, json!({})).await;
    let items = vec![json!({"uid": uid, "message": "x"}); 100];
    let reply = application.notify(&json!(items)).await.ok();
    assert_eq!(reply["queue_size"], 100, "{reply}");
    hears_receipt(&mut stream, &oldest, uid, "dropped").await;
    stream.expect_no_stream_frame().await;
}

#[tokio::test]
async fn receipts_go_to_those_only_who_asked_for_them() {
    let server = Server::quick().await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    let (mut without, _) = Socket::stream(&server, &application).await;
    let auth = json!({"receipts": true});
    let mut plain =
        Socket::app_with(&server, &application, SocketRequest::app(&application), auth).await;
    plain.sees(uid, "online").await;
    let mut with = stream_with_receipts(&server, &application).await;
    let id = send(&application, uid, json!({})).await;
    device.receive().await;
    hears_receipt(&mut with, &id, uid, "delivered").await;
    for socket in [&mut without, &mut plain] {
        for frame in socket.frames_until_now().await {
            assert_eq!(frame["receipts"], Value::Null, "{frame}");
            assert_eq!(frame["presence"], Value::Null, "{frame}");
        }
    }
}

#[tokio::test]
async fn receipts_are_a_part_of_the_stream_and_are_replayed_on_a_resume() {
    let server = Server::quick().await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    let (stream, snapshot) = Socket::stream(&server, &application).await;
    stream.close(None).await;
    let id = send(&application, uid, json!({})).await;
    device.receive().await;
    let mut watcher = stream_with_receipts(&server, &application).await;
    let second = send(&application, uid, json!({})).await;
    hears_receipt(&mut watcher, &second, uid, "delivered").await;
    let auth = json!({"receipts": true, "cursor": snapshot["cursor"]});
    let way = SocketRequest::app(&application).v1();
    let mut resumed = Socket::app_with(&server, &application, way, auth).await;
    let frame = resumed.receive_until(|frame| frame["receipts"].is_array()).await;
    let told: Vec<_> =
        frame["receipts"].as_array().unwrap().iter().map(|receipt| &receipt["id"]).collect();
    assert_eq!(json!(told), json!([id, second]), "{frame}");
}
