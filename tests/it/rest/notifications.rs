//! Sending notifications without a socket, as `notify` on the channel.

use presence_protocol::Errno;
use presence_tests::{Server, Socket};
use serde_json::json;

#[tokio::test]
async fn notifications_are_answered_one_by_one_and_delivered() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    let items = json!([{"uid": uid, "message": "Hi", "action": "https://a.example/"}, {"uid": "x", "message": "x"}, {"uid": uid}]);
    let answer = application.notify(&items).await.ok();
    assert_eq!((&answer["result"], &answer["queue_size"]), (&json!("OK"), &json!(1)), "{answer}");
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results[0]["result"], "OK");
    assert_eq!((&results[1]["errno"], &results[2]["errno"]), (&json!(44), &json!(11)));
    let heard = device.receive().await;
    assert_eq!(heard["notifications"][0]["id"], results[0]["id"]);
    assert_eq!(heard["notifications"][0]["action"], "https://a.example/");
}

#[tokio::test]
async fn a_malformed_notify_call_is_refused_as_a_whole() {
    let server = Server::start_default().await;
    let (application, alice, uid) = server.application_with("alice").await;
    let many = vec![json!({"uid": uid, "message": "x"}); 501];
    application.notify(&json!(many)).await.assert_error(Errno::TooLarge);
    application.notify(&json!("x")).await.assert_error(Errno::InvalidField);
    let post = || application.call("POST", "/notifications");
    post().json(&json!({})).await.assert_error(Errno::MissingField);
    post().json(&json!({})).bearer(&alice.token).await.assert_error(Errno::Forbidden);
    post().json(&json!({"notifications": []})).bearer("x").await.assert_error(Errno::InvalidApiKey);
    application.deactivate().await;
    application.notify(&json!([])).await.assert_error(Errno::ApplicationNotActive);
}
