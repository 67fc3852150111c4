//! Delivery of notifications to devices, and their settlement.

use presence_tests::{FaultProxy, Server, Socket, SocketRequest, StoppedServer};
use serde_json::{Value, json};

use super::{
    acknowledge, device_with_acks, receive_field, receive_ids, send, server, unlimited_rates,
};

#[tokio::test]
async fn every_connected_device_gets_a_notification_and_later_devices_do_not() {
    let server = server().await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut devices = Vec::new();
    for status in ["online", "unavailable", "offline"] {
        devices.push(Socket::device_of(&server, "alice", status, status).await);
    }
    let id = send(&application, uid, "Hi").await;
    for device in &mut devices {
        assert_eq!(receive_field(device, "id").await, [id.as_str()]);
    }
    let mut later = Socket::device_of(&server, "alice", "later", "online").await;
    later.expect_no_frame().await;
}

#[tokio::test]
async fn without_acks_the_first_write_settles_a_notification() {
    let server = server().await;
    let (application, _, uid) = server.application_with("alice").await;
    send(&application, uid, "Hi").await;
    let mut first = Socket::device_of(&server, "alice", "phone", "online").await;
    first.receive().await;
    let mut second = device_with_acks(&server, "alice", "tablet").await;
    second.expect_no_frame().await;
    first.close(None).await;
    let mut again = Socket::device_of(&server, "alice", "phone", "online").await;
    again.expect_no_frame().await;
}

#[tokio::test]
async fn with_acks_a_notification_is_resent_with_the_same_id_until_acknowledged() {
    let server = server().await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut phone = device_with_acks(&server, "alice", "phone").await;
    let first = send(&application, uid, "one").await;
    let second = send(&application, uid, "two").await;
    phone.receive_until(|frame| frame.to_string().contains(&second)).await;
    phone.close(None).await;
    let mut phone = device_with_acks(&server, "alice", "phone").await;
    assert_eq!(receive_field(&mut phone, "id").await, [first.as_str(), second.as_str()]);
    let mut tablet = device_with_acks(&server, "alice", "tablet").await;
    assert_eq!(receive_field(&mut tablet, "id").await, [first.as_str(), second.as_str()]);
    acknowledge(&mut tablet, &[&first]).await;
    phone.close(None).await;
    let mut phone = device_with_acks(&server, "alice", "phone").await;
    assert_eq!(receive_field(&mut phone, "id").await, [second.as_str()]);
    acknowledge(&mut phone, &[&second, &first, "unknown"]).await;
    let mut third = device_with_acks(&server, "alice", "third").await;
    third.expect_no_frame().await;
}

#[tokio::test]
async fn a_settlement_that_is_not_written_yet_is_known_to_other_devices_and_survives_a_stop() {
    let mut server = Server::start(unlimited_rates().with("settle-seconds", 600)).await;
    let (application, _, uid) = server.application_with("alice").await;
    let first = send(&application, uid, "one").await;
    let second = send(&application, uid, "two").await;
    let mut phone = device_with_acks(&server, "alice", "phone").await;
    assert_eq!(receive_field(&mut phone, "id").await, [first.as_str(), second.as_str()]);
    acknowledge(&mut phone, &[&first]).await;
    let mut tablet = Socket::device_of(&server, "alice", "tablet", "online").await;
    assert_eq!(receive_field(&mut tablet, "id").await, [second.as_str()]);
    tablet.expect_no_frame().await;
    let mut later = device_with_acks(&server, "alice", "later").await;
    later.expect_no_frame().await;
    assert_eq!(server.terminate().await, StoppedServer::With(0));
    server.restart().await;
    let mut later = device_with_acks(&server, "alice", "later").await;
    later.expect_no_frame().await;
}

#[tokio::test]
async fn a_settlement_is_written_before_a_connection_ends_and_only_a_crash_before_it_repeats_one() {
    let mut server = Server::start(unlimited_rates().with("settle-seconds", 600)).await;
    let (application, alice, uid) = server.application_with("alice").await;
    let mut tablet = device_with_acks(&server, "alice", "tablet").await;
    let mut phone = device_with_acks(&server, "alice", "phone").await;
    let closed = send(&application, uid, "one").await;
    for device in [&mut phone, &mut tablet] {
        assert_eq!(receive_field(device, "id").await, [closed.as_str()]);
    }
    acknowledge(&mut phone, &[&closed]).await;
    phone.close(None).await;
    alice.wait_until_gone("phone").await;
    let open = send(&application, uid, "two").await;
    assert_eq!(receive_field(&mut tablet, "id").await, [open.as_str()]);
    acknowledge(&mut tablet, &[&open]).await;
    server.kill().await;
    server.restart().await;
    let mut tablet = device_with_acks(&server, "alice", "tablet").await;
    let again = receive_field(&mut tablet, "id").await;
    assert!(again.contains(&open) && !again.contains(&closed), "{again:?}");
}

#[tokio::test]
async fn a_full_queue_drops_nothing_that_a_visible_users_device_has_taken() {
    let options = unlimited_rates().with("settle-seconds", 600);
    let server = Server::start(options).await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut stream = Socket::stream_with_receipts(&server, &application).await;
    let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
    stream.expect_status(uid, "online").await;
    for n in 0..150 {
        send(&application, uid, &n.to_string()).await;
        phone.receive().await;
    }
    let frame = stream.receive_until(|frame| frame["receipts"].is_array()).await;
    let states: Vec<_> =
        frame["receipts"].as_array().unwrap().iter().map(|receipt| &receipt["state"]).collect();
    assert!(states.iter().all(|state| **state == "delivered"), "{frame}");
}

#[tokio::test]
async fn a_device_without_acks_settles_a_notification_for_all_devices() {
    let server = server().await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut with = device_with_acks(&server, "alice", "with").await;
    let mut without = Socket::device_of(&server, "alice", "without", "online").await;
    let id = send(&application, uid, "Hi").await;
    assert_eq!(receive_field(&mut with, "id").await, [id.as_str()]);
    assert_eq!(receive_field(&mut without, "id").await, [id.as_str()]);
    without.expect_no_frame().await;
    let mut third = device_with_acks(&server, "alice", "third").await;
    third.expect_no_frame().await;
}

#[tokio::test]
async fn a_user_cannot_acknowledge_notifications_of_another_user() {
    let server = server().await;
    let (application, _, uid) = server.application_with("alice").await;
    let id = send(&application, uid, "Hi").await;
    let mut bob = device_with_acks(&server, "bob", "phone").await;
    acknowledge(&mut bob, &[&id]).await;
    let mut alice = device_with_acks(&server, "alice", "phone").await;
    assert_eq!(receive_field(&mut alice, "id").await, [id]);
}

#[tokio::test]
async fn a_notification_written_to_a_lost_connection_is_resent_to_a_device_with_acks() {
    let server = server().await;
    let (application, _, uid) = server.application_with("alice").await;
    let fault_proxy = FaultProxy::to(&server).await;
    let hello = || json!({"status": "online", "device": "phone", "acks": true});
    let request = || SocketRequest::device().through(&fault_proxy);
    let _lost = Socket::open_authenticated(&server, request(), "alice", hello()).await;
    fault_proxy.stall();
    let first = send(&application, uid, "one").await;
    fault_proxy.reset();
    let second = send(&application, uid, "two").await;
    let mut phone = Socket::open_authenticated(&server, request(), "alice", hello()).await;
    assert_eq!(receive_ids(&mut phone, 2).await, [first, second]);
    phone.expect_no_frame().await;
}

#[tokio::test]
async fn no_notification_is_lost_or_repeated_while_a_device_reconnects() {
    const SENT: usize = 90;
    let server = server().await;
    let (application, _, uid) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let frames =
        (0..SENT).map(|n| json!({"action": "notify", "target": uid, "message": n.to_string()}));
    let sending = async {
        for frame in frames {
            stream.send(frame).await;
            stream.receive_until(|frame| frame["action"] == "notify").await;
        }
    };
    let receiving = async {
        let mut messages: Vec<usize> = Vec::new();
        while messages.len() < SENT {
            let mut phone = device_with_acks(&server, "alice", "phone").await;
            let mut taken = 0;
            while taken < 3 && messages.len() < SENT {
                let frame = phone.receive().await;
                let Some(list) = frame["notifications"].as_array() else { continue };
                let number = |item: &Value| item["message"].as_str().unwrap().parse::<usize>();
                messages.extend(list.iter().map(|item| number(item).unwrap()));
                let ids: Vec<_> = list.iter().map(|item| &item["id"]).collect();
                phone.send(json!({"type": "ack", "ids": ids})).await;
                taken += 1;
            }
            phone.close(None).await;
        }
        messages
    };
    let ((), messages) = tokio::join!(sending, receiving);
    assert_eq!(messages, (0..SENT).collect::<Vec<_>>());
}
