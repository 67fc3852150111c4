//! Listing, pausing and revoking grants.

use presence_protocol::Errno;
use presence_tests::{Server, ServerOptions, Socket};
use serde_json::{Value, json};

#[tokio::test]
async fn grants_are_listed_with_the_last_access_of_each_application() {
    let server = Server::start_default().await;
    let (application, alice, uid) = server.application_with("alice").await;
    let other = server.application_named(&application.owner, "Other").await;
    alice.grant(&other).await;
    let (_stream, _) = Socket::stream(&server, &application).await;
    let grants = alice.call("GET", "/grants").await.ok()["grants"].clone();
    let grants = grants.as_array().unwrap();
    assert_eq!(grants.len(), 2);
    let first = &grants[0];
    assert_eq!((&first["appid"], &first["uid"]), (&json!(application.appid), &json!(uid)));
    assert_eq!(
        (&first["name"], &first["domain"]),
        (&json!("Chat"), &json!(application.domain.name()))
    );
    assert_eq!((&first["paused"], &first["state"]), (&json!(false), &json!("active")));
    assert!(first["last_looked_at"].as_u64() >= first["granted_at"].as_u64(), "{first}");
    assert_eq!(grants[1]["last_looked_at"], Value::Null);
    let bob = server.sign_in("bob").await;
    assert_eq!(bob.call("GET", "/grants").await.ok(), json!({"grants": []}));
}

#[tokio::test]
async fn the_grants_of_a_user_are_limited_and_a_revoked_one_makes_room() {
    let server = Server::start(ServerOptions::default().with("grants-per-user", 2)).await;
    let (first, alice, uid) = server.application_with("alice").await;
    let second = server.application_named(&first.owner, "Second").await;
    let third = server.application_named(&first.owner, "Third").await;
    alice.grant(&second).await;
    let grant = || alice.call("POST", &format!("/grant/{}", third.appid)).json(&json!({}));
    grant().await.assert_error(Errno::TooLarge);
    assert_eq!(alice.grant(&first).await, uid, "an existing grant is no further one");
    let bob = server.sign_in("bob").await;
    bob.grant(&third).await;
    alice.revoke(&second).await;
    grant().await.ok();
}

#[tokio::test]
async fn only_the_user_can_pause_and_revoke_a_grant() {
    let server = Server::start_default().await;
    let (application, alice, uid) = server.application_with("alice").await;
    let path = format!("/grants/{}", application.appid);
    let paused = alice.call("PATCH", &path).json(&json!({"paused": true})).await.ok();
    assert_eq!((&paused["paused"], &paused["uid"]), (&json!(true), &json!(uid)));
    alice.call("PATCH", &path).json(&json!({})).await.assert_error(Errno::MissingField);
    alice.call("PATCH", &path).json(&json!({"paused": 1})).await.assert_error(Errno::InvalidField);
    let bob = server.sign_in("bob").await;
    let by_bob = bob.call("PATCH", &path).json(&json!({"paused": false})).await;
    by_bob.assert_error(Errno::UnknownApplication);
    bob.call("DELETE", &path).await.assert_error(Errno::UnknownApplication);
    alice.call("DELETE", &path).await.ok();
    alice.call("DELETE", &path).await.assert_error(Errno::UnknownApplication);
    alice
        .call("PATCH", &path)
        .json(&json!({"paused": false}))
        .await
        .assert_error(Errno::UnknownApplication);
    assert_eq!(application.presence_of(uid).await["errno"], Errno::UnknownUid.number());
}

#[tokio::test]
async fn a_revocation_takes_effect_before_it_is_answered() {
    let server = Server::start_default().await;
    let (application, alice, uid) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    stream.expect_status(uid, "online").await;
    alice.revoke(&application).await;
    device.report("unavailable").await;
    let frames = stream.frames_until_now().await;
    assert_eq!(frames.len(), 1, "{frames:?}");
    assert_eq!(frames[0]["presence"][0]["revoked"], true);
}
