//! The AppService Presence Channel, point by point.

use presence_tests::{Server, Socket};
use serde_json::json;

#[tokio::test]
async fn an_app_service_sees_its_users_come_and_gets_a_message_to_them() {
    let server = Server::quick().await;
    let (application, _, uid) = server.application_with("alice").await;
    let (mut stream, snapshot) = Socket::stream(&server, &application).await;
    assert_eq!(snapshot["presence"], json!([]));
    let mut alice = Socket::device_of(&server, "alice", "phone", "online").await;
    stream.sees(uid, "online").await;
    let item = json!({"uid": uid, "message": "Hello", "action": ""});
    let reply = stream.ask(json!({"action": "notify", "notifications": [item]})).await;
    assert_eq!(reply["results"][0]["result"], "OK", "{reply}");
    let heard = alice.hear().await;
    assert_eq!(heard["notifications"][0]["message"], "Hello", "{heard}");
    assert_eq!(heard["notifications"][0]["source"], "Chat", "{heard}");
}
