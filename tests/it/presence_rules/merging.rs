//! The merged status of all devices of a user.

use presence_tests::{Server, Socket};
use serde_json::{Value, json};

use super::unlimited_rates;

#[tokio::test]
async fn the_status_is_the_best_of_all_devices() {
    let server = Server::start(unlimited_rates()).await;
    let (application, _, uid) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let mut phone = Socket::device_of(&server, "alice", "phone", "offline").await;
    stream.expect_no_stream_frame().await;
    let mut tablet = Socket::device_of(&server, "alice", "tablet", "unavailable").await;
    stream.expect_status(uid, "unavailable").await;
    phone.report("online").await;
    stream.expect_status(uid, "online").await;
    tablet.report("offline").await;
    tablet.report("online").await;
    phone.report("unavailable").await;
    stream.expect_no_stream_frame().await;
    tablet.close(None).await;
    stream.expect_status(uid, "unavailable").await;
    phone.report("offline").await;
    stream.expect_status(uid, "offline").await;
    phone.close(None).await;
    stream.expect_no_stream_frame().await;
}

#[tokio::test]
async fn the_text_is_that_of_the_last_device_to_report_the_merged_status() {
    let server = Server::start(unlimited_rates()).await;
    let (application, _, uid) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let mut phone = Socket::device_of(&server, "alice", "phone", "offline").await;
    let mut tablet = Socket::device_of(&server, "alice", "tablet", "offline").await;
    phone.send(json!({"status": "unavailable", "message": "Busy"})).await;
    assert_eq!(stream.expect_status(uid, "unavailable").await["message"], "Busy");
    phone.expect_ok().await;
    tablet.send(json!({"status": "online", "message": "Here"})).await;
    assert_eq!(stream.expect_status(uid, "online").await["message"], "Here");
    phone.send(json!({"status": "unavailable", "message": "Very busy"})).await;
    phone.expect_ok().await;
    stream.expect_no_stream_frame().await;
    phone.send(json!({"status": "online", "message": "There"})).await;
    assert_eq!(stream.expect_status(uid, "online").await["message"], "There");
    tablet.expect_ok().await;
    tablet.send(json!({"status": "online"})).await;
    assert_eq!(stream.expect_status(uid, "online").await["message"], Value::Null);
    phone.expect_ok().await;
    // The phone goes offline first, because otherwise its text would be published once more.
    phone.ask(json!({"status": "offline", "message": "Asleep"})).await;
    tablet.send(json!({"status": "offline", "message": "Asleep"})).await;
    assert_eq!(stream.expect_status(uid, "offline").await["message"], Value::Null);
}

#[tokio::test]
async fn only_a_change_of_status_or_text_is_published() {
    let server = Server::start(unlimited_rates()).await;
    let (application, _, uid) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
    let first = stream.expect_status(uid, "online").await;
    phone.report("online").await;
    phone.send(json!({"status": "online", "message": ""})).await;
    phone.expect_ok().await;
    stream.expect_no_stream_frame().await;
    phone.send(json!({"status": "online", "message": "Hi"})).await;
    phone.expect_ok().await;
    let second = stream.expect_status(uid, "online").await;
    assert!(second["version"].as_u64() > first["version"].as_u64());
    phone.send(json!({"status": "online", "message": "Hi"})).await;
    phone.expect_ok().await;
    stream.expect_no_stream_frame().await;
    for update in [first, second] {
        let since = update["since"].as_u64().unwrap();
        assert!(since.is_multiple_of(1000) && since > 1_600_000_000_000, "{update}");
        // The number is exact also in languages whose numbers are doubles.
        assert!(update["version"].as_u64().unwrap() < 1 << 53, "{update}");
    }
}

#[tokio::test]
async fn two_applications_have_different_puids_and_see_the_same_status() {
    let server = Server::start(unlimited_rates()).await;
    let (application, alice, uid) = server.application_with("alice").await;
    let other = server.application_named(&application.owner, "Other").await;
    let other_uid = alice.grant(&other).await;
    assert_ne!(uid, other_uid);
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let (mut other_stream, _) = Socket::stream(&server, &other).await;
    let _phone = Socket::device_of(&server, "alice", "phone", "online").await;
    stream.expect_status(uid, "online").await;
    other_stream.expect_status(other_uid, "online").await;
}

#[tokio::test]
async fn a_grant_by_an_online_user_is_visible_at_once() {
    let server = Server::start(unlimited_rates()).await;
    let (application, _, _) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let bob = server.sign_in("bob").await;
    let _phone = Socket::device_of(&server, "bob", "phone", "unavailable").await;
    let uid = bob.grant(&application).await;
    stream.expect_status(uid, "unavailable").await;
    assert_eq!(bob.grant(&application).await, uid);
    stream.expect_no_stream_frame().await;
}
