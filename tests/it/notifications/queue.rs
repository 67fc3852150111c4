//! The queue of a user: its content, its limits and its expiry.

use presence_tests::{Server, Socket};
use serde_json::{Value, json};

use super::{
    acknowledge, device_with_acks, receive_field, receive_ids, send, send_for, server,
    unlimited_rates,
};

#[tokio::test]
async fn pending_notifications_arrive_in_one_frame_in_order_after_the_first_ok() {
    let server = server().await;
    let (application, alice, uid) = server.application_with("alice").await;
    let other = server.application_named(&application.owner, "Other").await;
    let other_uid = alice.grant(&other).await;
    let mut sent = Vec::new();
    for n in 0..6 {
        let message = format!("{n}");
        let (from, to) = if n % 2 == 0 { (&application, uid) } else { (&other, other_uid) };
        send(from, to, &message).await;
        sent.push(message);
    }
    let mut phone = Socket::device(&server).await;
    let assertion = server.assertion("alice").await;
    phone.send(json!({"assertion": assertion, "status": "offline", "id": 1})).await;
    assert_eq!(phone.receive().await, json!({"result": "OK", "id": 1}));
    let frame = phone.receive().await;
    let list = frame["notifications"].as_array().unwrap();
    let messages: Vec<_> = list.iter().map(|item| item["message"].as_str().unwrap()).collect();
    assert_eq!(messages, sent);
    let sources: Vec<_> = list.iter().map(|item| item["source"].as_str().unwrap()).collect();
    assert_eq!(sources, ["Chat", "Other", "Chat", "Other", "Chat", "Other"]);
    phone.expect_no_frame().await;
}

#[tokio::test]
async fn each_application_has_a_queue_of_100_that_drops_the_oldest() {
    let server = server().await;
    let (application, alice, uid) = server.application_with("alice").await;
    let other = server.application_named(&application.owner, "Other").await;
    let other_uid = alice.grant(&other).await;
    send(&other, other_uid, "other").await;
    let items: Vec<Value> =
        (0..105).map(|n| json!({"uid": uid, "message": n.to_string()})).collect();
    let reply = application.notify(&json!(items)).await.ok();
    let sizes: Vec<_> = reply["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["queue_size"].as_u64().unwrap())
        .collect();
    let expected: Vec<u64> = (1..=105).map(|n: u64| n.min(100)).collect();
    assert_eq!(sizes, expected);
    let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
    let mut expected = vec!["other".to_owned()];
    expected.extend((5..105).map(|n: u32| n.to_string()));
    assert_eq!(receive_field(&mut phone, "message").await, expected);
}

#[tokio::test]
async fn an_expired_notification_is_not_delivered() {
    let server = server().await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut stream = Socket::stream_with_receipts(&server, &application).await;
    let short = send_for(&application, uid, "short", 1).await;
    let long = send_for(&application, uid, "long", 60).await;
    let frame = stream.receive_until(|frame| frame["receipts"].is_array()).await;
    assert_eq!(frame["receipts"][0]["id"], short.as_str(), "{frame}");
    let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
    assert_eq!(receive_field(&mut phone, "id").await, [long]);
}

#[tokio::test]
async fn a_notification_with_ttl_0_is_delivered_to_connected_devices_and_never_queued() {
    let server = server().await;
    let (application, _, uid) = server.application_with("alice").await;
    send_for(&application, uid, "not connected", 0).await;
    let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
    phone.expect_no_frame().await;
    let id = send_for(&application, uid, "connected", 0).await;
    assert_eq!(receive_field(&mut phone, "id").await, [id]);
}

#[tokio::test]
async fn a_notification_with_ttl_0_is_not_kept_for_a_later_device() {
    let server = server().await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut phone = device_with_acks(&server, "alice", "phone").await;
    let id = send_for(&application, uid, "connected", 0).await;
    assert_eq!(receive_field(&mut phone, "id").await, [id.as_str()]);
    // The notification is not acknowledged yet.
    let mut tablet = device_with_acks(&server, "alice", "tablet").await;
    tablet.expect_no_frame().await;
    acknowledge(&mut phone, &[&id]).await;
}

#[tokio::test]
async fn a_notification_with_ttl_0_is_dropped_for_a_lost_connection() {
    let server = Server::start(unlimited_rates().with("grace-seconds", 600)).await;
    let (application, alice, uid) = server.application_with("alice").await;
    let mut stream = Socket::stream_with_receipts(&server, &application).await;
    drop(Socket::device_of(&server, "alice", "phone", "online").await);
    alice.wait_until_lost("phone").await;
    // The Application still sees the user online.
    assert_eq!(application.presence_of(uid).await["status"], "online");
    let id = send_for(&application, uid, "not connected", 0).await;
    let frame = stream.receive_until(|frame| frame["receipts"].is_array()).await;
    assert_eq!(frame["receipts"], json!([{"id": id, "uid": uid, "state": "dropped"}]), "{frame}");
    let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
    phone.expect_no_frame().await;
}

#[tokio::test]
async fn a_paused_grant_keeps_its_queue_until_it_is_resumed() {
    let server = server().await;
    let (application, alice, uid) = server.application_with("alice").await;
    let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
    alice.pause(&application, true).await;
    let first = send(&application, uid, "held").await;
    let second = send(&application, uid, "held too").await;
    phone.expect_no_frame().await;
    let mut tablet = device_with_acks(&server, "alice", "tablet").await;
    tablet.expect_no_frame().await;
    alice.pause(&application, false).await;
    assert_eq!(receive_ids(&mut phone, 2).await, [first, second]);
    phone.expect_no_frame().await;
}

#[tokio::test]
async fn a_revoked_grant_empties_only_its_own_queue() {
    let server = server().await;
    let (application, alice, uid) = server.application_with("alice").await;
    let other = server.application_named(&application.owner, "Other").await;
    let other_uid = alice.grant(&other).await;
    send(&application, uid, "gone").await;
    let kept = send(&other, other_uid, "kept").await;
    alice.revoke(&application).await;
    let refused = application.notify(&json!([{"uid": uid, "message": "x"}])).await.ok();
    assert_eq!(refused["results"][0]["errno"], 44, "{refused}");
    alice.grant(&application).await;
    let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
    assert_eq!(receive_field(&mut phone, "id").await, [kept]);
    phone.expect_no_frame().await;
}

#[tokio::test]
async fn queued_notifications_survive_a_restart_and_a_crash() {
    let mut server = Server::start(unlimited_rates().with("warm-up-seconds", 0)).await;
    let (application, alice, uid) = server.application_with("alice").await;
    let first = send(&application, uid, "one").await;
    server.terminate().await;
    server.restart().await;
    let second = send(&application, uid, "two").await;
    server.kill().await;
    server.restart().await;
    let mut phone = device_with_acks(&server, "alice", "phone").await;
    assert_eq!(receive_field(&mut phone, "id").await, [first.clone(), second.clone()]);
    acknowledge(&mut phone, &[&first]).await;
    // An acknowledgement is written before the place of the device is given up.
    phone.close(None).await;
    alice.wait_until_gone("phone").await;
    server.kill().await;
    server.restart().await;
    let mut phone = device_with_acks(&server, "alice", "phone").await;
    assert_eq!(receive_field(&mut phone, "id").await, [second]);
}

#[tokio::test]
async fn queued_notifications_are_visible_only_to_their_user() {
    let server = server().await;
    let (application, alice, uid) = server.application_with("alice").await;
    let id = send(&application, uid, "for alice").await;
    let held = alice.call("GET", "/account").await.ok();
    assert_eq!(held["notifications"][0]["id"], id.as_str(), "{held}");
    assert_eq!(held["notifications"][0]["message"], "for alice");
    let bob = server.sign_in("bob").await;
    assert_eq!(bob.call("GET", "/account").await.ok()["notifications"], json!([]));
}
