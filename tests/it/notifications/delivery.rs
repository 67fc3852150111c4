//! Delivery of notifications to devices, and their settlement.

use presence_tests::{FaultProxy, Socket, SocketRequest};
use serde_json::{Value, json};

use super::{acking, acknowledge, heard, send, server};

#[tokio::test]
async fn all_connected_devices_get_it_at_once_whatever_their_status_and_later_ones_do_not() {
    let server = server().await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut devices = Vec::new();
    for status in ["online", "unavailable", "offline"] {
        devices.push(Socket::device_of(&server, "alice", status, status).await);
    }
    let id = send(&application, uid, "Hi").await;
    for device in &mut devices {
        assert_eq!(heard(device, "id").await, [id.as_str()]);
    }
    let mut later = Socket::device_of(&server, "alice", "later", "online").await;
    later.expect_no_frame().await;
}

#[tokio::test]
async fn without_acknowledgements_the_first_write_settles_it() {
    let server = server().await;
    let (application, _, uid) = server.application_with("alice").await;
    send(&application, uid, "Hi").await;
    let mut first = Socket::device_of(&server, "alice", "phone", "online").await;
    first.receive().await;
    let mut second = acking(&server, "alice", "tablet").await;
    second.expect_no_frame().await;
    first.close(None).await;
    let mut again = Socket::device_of(&server, "alice", "phone", "online").await;
    again.expect_no_frame().await;
}

#[tokio::test]
async fn with_acknowledgements_it_stays_until_one_comes_and_keeps_its_id() {
    let server = server().await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut phone = acking(&server, "alice", "phone").await;
    let first = send(&application, uid, "one").await;
    let second = send(&application, uid, "two").await;
    phone.receive_until(|frame| frame.to_string().contains(&second)).await;
    phone.close(None).await;
    let mut phone = acking(&server, "alice", "phone").await;
    assert_eq!(heard(&mut phone, "id").await, [first.as_str(), second.as_str()]);
    let mut tablet = acking(&server, "alice", "tablet").await;
    assert_eq!(heard(&mut tablet, "id").await, [first.as_str(), second.as_str()]);
    acknowledge(&mut tablet, &[&first]).await;
    phone.close(None).await;
    let mut phone = acking(&server, "alice", "phone").await;
    assert_eq!(heard(&mut phone, "id").await, [second.as_str()]);
    acknowledge(&mut phone, &[&second, &first, "unknown"]).await;
    let mut third = acking(&server, "alice", "third").await;
    third.expect_no_frame().await;
}

#[tokio::test]
async fn a_device_without_acknowledgements_settles_it_for_those_with() {
    let server = server().await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut with = acking(&server, "alice", "with").await;
    let mut without = Socket::device_of(&server, "alice", "without", "online").await;
    let id = send(&application, uid, "Hi").await;
    assert_eq!(heard(&mut with, "id").await, [id.as_str()]);
    assert_eq!(heard(&mut without, "id").await, [id.as_str()]);
    without.expect_no_frame().await;
    let mut third = acking(&server, "alice", "third").await;
    third.expect_no_frame().await;
}

#[tokio::test]
async fn nobody_acknowledges_for_somebody_else() {
    let server = server().await;
    let (application, _, uid) = server.application_with("alice").await;
    let id = send(&application, uid, "Hi").await;
    let mut bob = acking(&server, "bob", "phone").await;
    acknowledge(&mut bob, &[&id]).await;
    let mut alice = acking(&server, "alice", "phone").await;
    assert_eq!(heard(&mut alice, "id").await, [id]);
}

#[tokio::test]
async fn what_was_on_its_way_on_a_dying_connection_comes_again_to_who_acknowledges() {
    let server = server().await;
    let (application, _, uid) = server.application_with("alice").await;
    let cutter = FaultProxy::to(&server).await;
    let hello = || json!({"status": "online", "device": "phone", "acks": true});
    let way = || SocketRequest::device().through(&cutter);
    let _lost = Socket::open_authenticated(&server, way(), "alice", hello()).await;
    cutter.stall();
    let first = send(&application, uid, "one").await;
    cutter.reset();
    let second = send(&application, uid, "two").await;
    let mut phone = Socket::open_authenticated(&server, way(), "alice", hello()).await;
    let mut ids = heard(&mut phone, "id").await;
    while ids.len() < 2 {
        ids.extend(heard(&mut phone, "id").await);
    }
    assert_eq!(ids, [first, second]);
    phone.expect_no_frame().await;
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_while_a_device_comes_and_goes() {
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
    let hearing = async {
        let mut messages: Vec<usize> = Vec::new();
        while messages.len() < SENT {
            let mut phone = acking(&server, "alice", "phone").await;
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
    let ((), messages) = tokio::join!(sending, hearing);
    assert_eq!(messages, (0..SENT).collect::<Vec<_>>());
}
