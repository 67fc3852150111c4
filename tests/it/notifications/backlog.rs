//! Many pending notifications: the size of their frames, their order, and their settlement.

use presence_protocol::Puid;
use presence_tests::{Application, FaultProxy, Server, Socket, SocketRequest};
use serde_json::{Value, json};

use super::{acknowledge, device_with_acks, receive_field, send, server};

/// The maximum number of bytes of a frame with notifications.
const MAX_FRAME_BYTES: usize = 64 * 1024;
/// The number of applications whose queues are full.
const QUEUES: usize = 3;
/// The number of notifications in all of them.
const PENDING: usize = 100 * QUEUES;

/// Fills the queues of three Applications with the longest notifications. Their messages begin with
/// their numbers in the order of acceptance.
async fn fill_queues(server: &Server) -> (Application, Puid) {
    let (application, alice, uid) = server.application_with("alice").await;
    let developer = server.sign_in("developer").await;
    let mut queues = vec![(application, uid)];
    for name in ["Second", "Third"] {
        let application = server.application_named(&developer, name).await;
        let uid = alice.grant(&application).await;
        queues.push((application, uid));
    }
    let mut number = 0;
    for (application, uid) in &queues {
        let mut item = || {
            number += 1;
            let message = format!("{number} {}", "😀".repeat(500));
            json!({"uid": uid, "message": message, "action": format!("https://a.example/{}", "x".repeat(490))})
        };
        let items: Vec<Value> = (0..100).map(|_| item()).collect();
        let reply = application.notify(&json!(items)).await.ok();
        assert_eq!(reply["queue_size"], 100, "{reply}");
    }
    queues.swap_remove(0)
}

/// Returns the number at the beginning of each message of a frame.
fn numbers(frame: &str) -> Vec<usize> {
    let frame: Value = serde_json::from_str(frame).unwrap();
    let list = frame["notifications"].as_array().unwrap_or_else(|| panic!("no list: {frame}"));
    let number = |item: &Value| {
        let message = item["message"].as_str().unwrap();
        message.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
    };
    list.iter().map(number).collect()
}

#[tokio::test]
async fn pending_notifications_follow_each_other_in_as_few_frames_of_64_kib_as_it_takes() {
    let server = server().await;
    let (application, uid) = fill_queues(&server).await;
    let mut phone = device_with_acks(&server, "alice", "phone").await;
    // It is accepted before the first frame is read, and follows all that were pending.
    send(&application, uid, "later").await;
    let mut received = Vec::new();
    while received.len() < PENDING {
        let frame = phone.receive_text().await;
        assert!(frame.len() <= MAX_FRAME_BYTES, "{} bytes", frame.len());
        let in_frame = numbers(&frame);
        let one_more = frame.len() / in_frame.len() + 1;
        let is_last = received.len() + in_frame.len() >= PENDING;
        assert!(is_last || frame.len() + one_more > MAX_FRAME_BYTES - one_more);
        received.extend(in_frame);
    }
    // The Application's oldest one was dropped by the later one, or was read before.
    let expected: Vec<usize> = (1..=PENDING).collect();
    let later = received.iter().position(|number| *number == 0);
    received.retain(|number| *number > 0);
    assert!(received == expected || received == expected[1..], "{received:?}");
    assert!(later.is_none_or(|position| position == received.len()), "not the last: {later:?}");
}

#[tokio::test]
async fn without_acks_only_what_was_written_is_settled_and_the_rest_is_sent_later() {
    let server = server().await;
    fill_queues(&server).await;
    let proxy = FaultProxy::to(&server).await;
    let hello = json!({"status": "online", "device": "phone"});
    let request = SocketRequest::device().through(&proxy);
    let first = Socket::open_authenticated(&server, request, "alice", hello).await;
    // The buffers of the connection hold a part of what is pending.
    proxy.stall();
    server.call("GET", "/__heartbeat__").await.ok();
    proxy.reset();
    drop(first);
    let mut second = Socket::device_of(&server, "alice", "phone", "online").await;
    let mut received = numbers(&second.receive_text().await);
    while received.last() != Some(&PENDING) {
        received.extend(numbers(&second.receive_text().await));
    }
    let rest: Vec<usize> = (received[0]..=PENDING).collect();
    assert_eq!(received, rest, "no notification is lost, and none comes twice");
    second.expect_no_frame().await;
}

#[tokio::test]
async fn notifications_that_are_settled_while_others_are_sent_are_not_sent() {
    let server = server().await;
    let (application, _, uid) = server.application_with("alice").await;
    let items: Vec<Value> =
        (0..100).map(|n: u32| json!({"uid": uid, "message": n.to_string()})).collect();
    application.notify(&json!(items)).await.ok();
    let mut phone = device_with_acks(&server, "alice", "phone").await;
    let ids = receive_field(&mut phone, "id").await;
    let (acked, rest) = ids.split_at(99);
    acknowledge(&mut phone, &acked.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut tablet = device_with_acks(&server, "alice", "tablet").await;
    assert_eq!(receive_field(&mut tablet, "id").await, rest);
}
