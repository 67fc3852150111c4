//! The Device Presence Channel, point by point.

use presence_tests::{Server, Socket, email};
use serde_json::json;

#[tokio::test]
async fn a_device_is_known_by_its_assertion_and_hears_ok_to_the_letter() {
    let server = Server::quick().await;
    let mut device = Socket::device(&server).await;
    let assertion = server.assertion("alice").await;
    let hello = json!({"email": email("alice"), "assertion": assertion, "status": "online"});
    device.send(hello).await;
    assert_eq!(device.hear_text().await, r#"{"result":"OK"}"#);
}
