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
async fn the_last_check_is_about_this_user_and_stops_at_a_pause() {
    let server = Server::start_default().await;
    let (application, alice, uid) = server.application_with("alice").await;
    let bob = server.sign_in("bob").await;
    bob.grant(&application).await;
    let last_check = async |user: &presence_tests::User| {
        user.call("GET", "/grants").await.ok()["grants"][0]["last_looked_at"].clone()
    };
    application.presence_of(uid).await;
    assert!(last_check(&alice).await.is_u64());
    assert_eq!(last_check(&bob).await, Value::Null, "only Alice was checked");
    bob.pause(&application, true).await;
    let (stream, _) = Socket::stream(&server, &application).await;
    assert_eq!(last_check(&bob).await, Value::Null, "a paused user cannot be checked");
    let carol = server.sign_in("carol").await;
    carol.grant(&application).await;
    let first = last_check(&carol).await;
    assert!(first.is_u64(), "an open socket checks all the time");
    stream.close(Some(1000)).await;
    let closed = || async {
        let one = last_check(&carol).await;
        one == last_check(&carol).await
    };
    while !closed().await {}
    assert!(last_check(&carol).await.as_u64() >= first.as_u64());
    bob.pause(&application, false).await;
    assert_eq!(last_check(&bob).await, Value::Null, "the pause is not counted afterwards");
    let dave = server.sign_in("dave").await;
    dave.grant(&application).await;
    assert_eq!(last_check(&dave).await, Value::Null, "a check before the grant does not count");
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
    let frame = stream.receive().await;
    assert_eq!(frame["presence"][0]["revoked"], true, "{frame}");
    let frames = stream.frames_until_now().await;
    assert!(frames.is_empty(), "{frames:?}");
}
