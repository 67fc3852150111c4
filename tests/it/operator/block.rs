//! An Application that the operator has blocked.

use presence_protocol::{CloseCode, Errno};
use presence_tests::{Socket, SocketRequest};
use serde_json::json;

use super::operator_session::OperatorSession;

#[tokio::test]
async fn a_blocked_application_sees_no_user_until_the_block_ends() {
    let (server, operator) = OperatorSession::start().await;
    let (application, _, alice) = server.application_with("alice").await;
    let _device = Socket::device_of(&server, "alice", "phone", "online").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    operator.post_switch(&server, &application.appid, "block").await;
    stream.expect_close(CloseCode::ApplicationClosed).await;
    application.call("GET", "/presence").await.assert_error(Errno::ApplicationNotActive);
    let lunch = json!([{"uid": alice, "message": "Lunch?", "action": ""}]);
    application.notify(&lunch).await.assert_error(Errno::ApplicationNotActive);
    let mut again = Socket::open(&server, SocketRequest::app(&application)).await;
    again.send(json!({"action": "auth", "token": application.api_key})).await;
    again.expect_error(Errno::ApplicationNotActive).await;
    again.expect_close(CloseCode::ApplicationClosed).await;
    let bob = server.sign_in("bob").await;
    let granted = bob.call("POST", &format!("/grant/{}", application.appid)).json(&json!({})).await;
    granted.assert_error(Errno::ApplicationNotActive);
    operator.post_switch(&server, &application.appid, "unblock").await;
    let (_stream, snapshot) = Socket::stream(&server, &application).await;
    assert_eq!(snapshot["presence"][0]["status"], "online", "{snapshot}");
    application.notify(&lunch).await.ok();
}

#[tokio::test]
async fn the_developer_sees_the_block_and_cannot_end_it() {
    let (server, operator) = OperatorSession::start().await;
    let (application, alice, _) = server.application_with("alice").await;
    let before = application.owner_call("GET", "").await.ok();
    assert!(before.get("blocked_at").is_none(), "{before}");
    operator.post_switch(&server, &application.appid, "block").await;
    let blocked = application.owner_call("GET", "").await.ok();
    assert_eq!(blocked["state"], "inactive", "{blocked}");
    assert!(blocked["blocked_at"].is_u64(), "{blocked}");
    application.owner_call("POST", "/activate").await.assert_error(Errno::ApplicationNotActive);
    application.call("GET", "/presence").await.assert_error(Errno::ApplicationNotActive);
    let grants = alice.call("GET", "/grants").await.ok();
    assert_eq!(grants["grants"][0]["state"], "inactive", "{grants}");
    operator.post_switch(&server, &application.appid, "unblock").await;
    let after = application.owner_call("GET", "").await.ok();
    assert_eq!((&after["state"], after.get("blocked_at")), (&json!("active"), None), "{after}");
}

#[tokio::test]
async fn an_application_deactivated_during_a_block_stays_inactive_afterwards() {
    let (server, operator) = OperatorSession::start().await;
    let (application, _, _) = server.application_with("alice").await;
    operator.post_switch(&server, &application.appid, "block").await;
    application.deactivate().await;
    operator.post_switch(&server, &application.appid, "unblock").await;
    assert_eq!(application.owner_call("GET", "").await.ok()["state"], "inactive");
    application.activate().await;
    application.call("GET", "/presence").await.ok();
}

#[tokio::test]
async fn changing_the_domain_does_not_end_the_block() {
    let (server, operator) = OperatorSession::start().await;
    let (application, _, _) = server.application_with("alice").await;
    operator.post_switch(&server, &application.appid, "block").await;
    let elsewhere = presence_tests::DomainServer::start().await;
    let changed = application.owner_call("PATCH", "").json(&json!({"domain": elsewhere.name()}));
    let changed = changed.await.ok();
    elsewhere.publish_key(changed["domain_key"].as_str().unwrap());
    assert_eq!(application.owner_call("POST", "/verify").await.ok()["state"], "verified");
    application.owner_call("POST", "/activate").await.assert_error(Errno::ApplicationNotActive);
}

#[tokio::test]
async fn a_block_survives_a_restart() {
    let (mut server, mut operator) = OperatorSession::start().await;
    let (application, _, alice) = server.application_with("alice").await;
    operator.post_switch(&server, &application.appid, "block").await;
    server.kill().await;
    server.restart().await;
    let _device = Socket::device_of(&server, "alice", "phone", "online").await;
    application.call("GET", "/presence").await.assert_error(Errno::ApplicationNotActive);
    application.owner_call("POST", "/activate").await.assert_error(Errno::ApplicationNotActive);
    assert_eq!(operator.get(&server, "/admin/figures").await.status, 401, "a restart signs out");
    operator.sign_in_again(&server).await;
    operator.post_switch(&server, &application.appid, "unblock").await;
    assert_eq!(application.presence_of(alice).await["status"], "online");
}

#[tokio::test]
async fn a_block_is_logged_with_the_application_and_without_personal_data() {
    let (mut server, operator) = OperatorSession::start().await;
    let (application, _, _) = server.application_with("alice").await;
    operator.post_switch(&server, &application.appid, "block").await;
    operator.post_switch(&server, &application.appid, "unblock").await;
    let log = server.complete_log().await;
    for event in ["operator.blocked", "operator.unblocked"] {
        let line = log.lines().find(|line| line.contains(event)).unwrap();
        assert!(line.contains(&application.appid) && line.contains("INFO"), "{line}");
    }
    assert!(log.contains("operator.signed_in"), "{log}");
    assert!(!log.contains("pro_") && !log.contains("dev.localhost"), "{log}");
}
