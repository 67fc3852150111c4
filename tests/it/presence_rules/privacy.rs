//! Receipts and replies do not reveal which users hide.

use presence_protocol::Puid;
use presence_tests::{Application, Server, Socket, SocketRequest};
use serde_json::{Value, json};

use super::unlimited_rates;

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
    let mut stream = Socket::stream_with_receipts(&server, &application).await;
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
    let mut stream = Socket::stream_with_receipts(&server, &application).await;
    let mut answers = Vec::new();
    for uid in uids {
        let mut answer = notify(&application, uid, 0).await;
        let id = answer["id"].take();
        let received = stream.receive_until(|frame| frame["receipts"].is_array()).await;
        let received = receipts(&[received]);
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
    let (application, alice, uid) = server.application_with("alice").await;
    let hello = || json!({"type": "visibility", "application_ids": [], "acks": true});
    let mut phone =
        Socket::open_authenticated(&server, SocketRequest::device(), "alice", hello()).await;
    let sent = notify(&application, uid, 60).await;
    phone.receive().await;
    phone.send(json!({"type": "ack", "ids": [sent["id"]]})).await;
    phone.expect_ok().await;
    // The settlements of a device are written before its place is given up.
    phone.close(None).await;
    alice.wait_until_gone("default").await;
    server.kill().await;
    server.restart().await;
    let mut stream = Socket::stream_with_receipts(&server, &application).await;
    let mut phone =
        Socket::open_authenticated(&server, SocketRequest::device(), "alice", hello()).await;
    phone.expect_no_frame().await;
    stream.expect_no_stream_frame().await;
    phone.close(None).await;
    let _phone = Socket::device_of(&server, "alice", "phone", "online").await;
    let received = stream.receive_until(|frame| frame["receipts"].is_array()).await;
    assert_eq!(receipts(&[received]), [(sent["id"].clone(), json!("acked"))]);
}

/// Returns the frames up to the receipt of this user, without the ids, which differ.
async fn appearance(stream: &mut Socket, uid: Puid) -> Vec<Value> {
    let mut frames = Vec::new();
    while receipts(&frames).is_empty() {
        let mut frame = stream.receive_until(|frame| is_about(frame, uid)).await;
        for receipt in frame["receipts"].as_array_mut().into_iter().flatten() {
            receipt["uid"].take();
        }
        for update in frame["presence"].as_array_mut().into_iter().flatten() {
            *update = update["status"].take();
        }
        frame["cursor"].take();
        frames.push(frame);
    }
    frames
}

fn is_about(frame: &Value, uid: Puid) -> bool {
    let of = |list: &str| frame[list].as_array().cloned().unwrap_or_default();
    of("presence").iter().chain(&of("receipts")).any(|item| item["uid"] == json!(uid))
}

#[tokio::test]
async fn what_was_read_while_hidden_and_what_was_read_after_coming_back_look_alike() {
    let server = Server::start(unlimited_rates().with("receipt-hold-seconds", 2)).await;
    let (application, _, away) = server.application_with("away").await;
    let hides = server.sign_in("hides").await.grant(&application).await;
    let mut stream = Socket::stream_with_receipts(&server, &application).await;
    let hello = json!({"type": "visibility", "application_ids": [], "acks": true});
    let mut hidden =
        Socket::open_authenticated(&server, SocketRequest::device(), "hides", hello).await;
    hidden.report("online").await;
    let mut ids = Vec::new();
    for uid in [hides, hides, away, away] {
        ids.push(notify(&application, uid, 60).await["id"].clone());
    }
    for _ in 0..2 {
        hidden.receive().await;
    }
    // The second one was read first.
    for id in [&ids[1], &ids[0]] {
        hidden.send(json!({"type": "ack", "ids": [id]})).await;
        hidden.expect_ok().await;
    }
    hidden.send(json!({"type": "visibility", "application_ids": [application.appid]})).await;
    hidden.expect_ok().await;
    let of_hidden = appearance(&mut stream, hides).await;

    let hello = json!({"status": "online", "acks": true});
    let mut back =
        Socket::open_authenticated(&server, SocketRequest::device(), "away", hello).await;
    back.receive_until(|frame| frame["notifications"].is_array()).await;
    for id in [&ids[3], &ids[2]] {
        back.send(json!({"type": "ack", "ids": [id]})).await;
        back.expect_ok().await;
    }
    let of_away = appearance(&mut stream, away).await;
    let states = |frames: &[Value]| receipts(frames).into_iter().collect::<Vec<_>>();
    let in_order = |one: &Value, two: &Value| {
        let mut sorted = [one.clone(), two.clone()];
        sorted.sort_by_key(ToString::to_string);
        sorted.map(|id| (id, json!("acked"))).to_vec()
    };
    assert_eq!(states(&of_hidden), in_order(&ids[0], &ids[1]));
    assert_eq!(states(&of_away), in_order(&ids[2], &ids[3]));
    assert_eq!(of_hidden.len(), of_away.len(), "{of_hidden:?} {of_away:?}");
}

#[tokio::test]
async fn delayed_updates_come_together_and_a_pause_takes_effect_at_once() {
    let hour = unlimited_rates().with("update-delay-seconds", 3600);
    let server = Server::start(hour).await;
    let (application, alice, uid) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let _phone = Socket::device_of(&server, "alice", "phone", "online").await;
    stream.expect_no_stream_frame().await;
    assert_eq!(application.presence_of(uid).await["status"], "offline");
    alice.pause(&application, true).await;
    alice.pause(&application, false).await;
    stream.expect_status(uid, "online").await;
    alice.pause(&application, true).await;
    stream.expect_status(uid, "offline").await;
}

#[tokio::test]
async fn delayed_updates_are_in_the_order_of_puids() {
    let server = Server::start(unlimited_rates().with("update-delay-seconds", 5)).await;
    let (application, _, _) = server.application_with("u0").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let mut devices = Vec::new();
    for name in ["u1", "u2", "u3", "u4", "u5", "u6"] {
        server.sign_in(name).await.grant(&application).await;
        devices.push(Socket::device_of(&server, name, "phone", "online").await);
    }
    let mut seen = 0;
    while seen < devices.len() {
        let frame = stream.receive().await;
        let uids: Vec<_> = frame["presence"]
            .as_array()
            .unwrap()
            .iter()
            .map(|update| update["uid"].to_string())
            .collect();
        assert!(uids.is_sorted(), "{frame}");
        seen += uids.len();
    }
}
