//! The connected devices.

use presence_protocol::Errno;
use presence_tests::{Server, Socket, SocketRequest};
use serde_json::{Value, json};

#[tokio::test]
async fn devices_are_listed_with_their_reports() {
    let server = Server::start_default().await;
    let alice = server.sign_in("alice").await;
    assert_eq!(alice.call("GET", "/devices").await.ok(), json!({"devices": []}));
    let first_frame = json!({"status": "unavailable", "message": "Busy", "device": "phone"});
    let _phone =
        Socket::open_authenticated(&server, SocketRequest::device(), "alice", first_frame).await;
    let listed = alice.call("GET", "/devices").await.ok();
    let device = &listed["devices"][0];
    assert_eq!((&device["device"], &device["status"]), (&json!("phone"), &json!("unavailable")));
    assert_eq!((&device["message"], &device["connected"]), (&json!("Busy"), &json!(true)));
    let bob = server.sign_in("bob").await;
    assert_eq!(bob.call("GET", "/devices").await.ok(), json!({"devices": []}));
}

#[tokio::test]
async fn only_the_user_can_end_a_device() {
    let server = Server::start_default().await;
    let alice = server.sign_in("alice").await;
    let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
    let bob = server.sign_in("bob").await;
    bob.call("DELETE", "/devices/phone").await.assert_error(Errno::NotFound);
    alice.call("DELETE", "/devices/tablet").await.assert_error(Errno::NotFound);
    phone.expect_no_frame().await;
    alice.call("DELETE", "/devices/phone").await.ok();
    assert_eq!(phone.closed().await, Some(4005));
    alice.call("DELETE", "/devices/phone").await.assert_error(Errno::NotFound);
    assert_eq!(alice.call("GET", "/devices").await.ok()["devices"], Value::Array(Vec::new()));
}
