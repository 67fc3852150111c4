//! Receipts and replies do not reveal which users hide.

use presence_protocol::Puid;
use presence_tests::{Application, Server, Socket, SocketRequest};
use serde_json::{Value, json};

use super::unlimited_rates;

async fn stream_with_receipts(server: &Server, application: &Application) -> Socket {
    let request = SocketRequest::app(application).v1();
    let mut stream =
        Socket::app_with(server, application, request, json!({"receipts": true})).await;
    assert_eq!(stream.receive().await["snapshot"], true);
    stream
}

async fn notify(application: &Application, uid: Puid, ttl: u32) -> Value {
    let item = json!({"uid": uid, "message": "x", "ttl": ttl});
    let reply = application.notify(&json!([item])).await.ok();
    reply["results"][0].clone()
}

/// Returns the receipts in the frames, in order.
fn receipts(frames: &[Value]) -> Vec<(Value, Value)> {
    let all = frames.iter().filter_map(|frame| frame["receipts"].as_array()).flatten();
    all.map(|receipt| (receipt["id"].clone(), receipt["state"].clone())).collect()
}

#[tokio::test]
async fn a_hidden_users_receipts_are_withheld_until_they_are_seen_again() {
    let server = Server::start(unlimited_rates()).await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut stream = stream_with_receipts(&server, &application).await;
    let hello = json!({"type": "visibility", "application_ids": [], "acks": true});
    let mut phone =
        Socket::open_authenticated(&server, SocketRequest::device(), "alice", hello).await;
    let first = notify(&application, uid, 60).await;
    assert_eq!(first["queue_size"], 1);
    assert_eq!(phone.receive().await["notifications"][0]["id"], first["id"]);
    phone.send(json!({"type": "ack", "ids": [first["id"]]})).await;
    phone.expect_ok().await;
    stream.expect_no_stream_frame().await;
    // A notification that was settled while the user hides still counts, so that `queue_size` does
    // not reveal it.
    let second = notify(&application, uid, 60).await;
    assert_eq!(second["queue_size"], 2);
    phone.receive().await;
    phone.send(json!({"type": "ack", "ids": [second["id"]]})).await;
    phone.expect_ok().await;
    phone.report("online").await;
    stream.expect_no_stream_frame().await;
    phone.send(json!({"type": "visibility", "application_ids": [application.appid]})).await;
    phone.expect_ok().await;
    stream.expect_status(uid, "online").await;
    let mut received = Vec::new();
    while received.len() < 2 {
        received.extend(receipts(&[stream.receive().await]));
    }
    received.sort_by_key(|(id, _)| *id == second["id"]);
    assert_eq!(
        received,
        [(first["id"].clone(), json!("acked")), (second["id"].clone(), json!("acked"))]
    );
    assert_eq!(notify(&application, uid, 60).await["queue_size"], 1);
}

#[tokio::test]
async fn a_notification_with_ttl_0_is_dropped_alike_for_a_hidden_and_an_absent_user() {
    let server = Server::start(unlimited_rates()).await;
    let (application, _, absent) = server.application_with("absent").await;
    let mut uids = vec![absent];
    let mut devices = Vec::new();
    for name in ["hidden", "paused", "offline"] {
        let user = server.sign_in(name).await;
        uids.push(user.grant(&application).await);
        user.pause(&application, name == "paused").await;
        let hello = match name {
            "hidden" => json!({"type": "visibility", "application_ids": []}),
            "offline" => json!({"status": "offline"}),
            _ => json!({"status": "online"}),
        };
        devices
            .push(Socket::open_authenticated(&server, SocketRequest::device(), name, hello).await);
    }
    let mut stream = stream_with_receipts(&server, &application).await;
    let mut answers = Vec::new();
    for uid in uids {
        let mut answer = notify(&application, uid, 0).await;
        let id = answer["id"].take();
        let received = receipts(&stream.frames_until_now().await);
        answers.push((
            answer,
            received
                .into_iter()
                .map(|(received, state)| (received == id, state))
                .collect::<Vec<_>>(),
        ));
    }
    assert_eq!(answers[0].0["result"], "OK");
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    for device in &mut devices {
        device.expect_no_frame().await;
    }
    let mut seen = Socket::device_of(&server, "absent", "phone", "online").await;
    stream.expect_status(absent, "online").await;
    let answer = notify(&application, absent, 0).await;
    assert_eq!(seen.receive().await["notifications"][0]["id"], answer["id"]);
}

#[tokio::test]
async fn withheld_receipts_survive_a_restart() {
    let mut server = Server::start(unlimited_rates().with("warm-up-seconds", 0)).await;
    let (application, _, uid) = server.application_with("alice").await;
    let hello = || json!({"type": "visibility", "application_ids": [], "acks": true});
    let mut phone =
        Socket::open_authenticated(&server, SocketRequest::device(), "alice", hello()).await;
    let sent = notify(&application, uid, 60).await;
    phone.receive().await;
    phone.send(json!({"type": "ack", "ids": [sent["id"]]})).await;
    phone.expect_ok().await;
    server.kill().await;
    server.restart().await;
    let mut stream = stream_with_receipts(&server, &application).await;
    let mut phone =
        Socket::open_authenticated(&server, SocketRequest::device(), "alice", hello()).await;
    phone.expect_no_frame().await;
    stream.expect_no_stream_frame().await;
    phone.close(None).await;
    let _phone = Socket::device_of(&server, "alice", "phone", "online").await;
    stream.expect_status(uid, "online").await;
    let received = stream.receive_until(|frame| frame["receipts"].is_array()).await;
    assert_eq!(receipts(&[received]), [(sent["id"].clone(), json!("acked"))]);
}
