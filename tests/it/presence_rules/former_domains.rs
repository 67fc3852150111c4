//! An Application that moves to another domain: the consent of its users does not move with it.

use presence_tests::{Application, DomainServer, Server, Socket};
use serde_json::{Value, json};

/// Moves an active Application to a domain, and activates it there.
async fn move_to(application: &Application, domain: &DomainServer) {
    let body = json!({"domain": domain.name()});
    let changed = application.owner_call("PATCH", "").json(&body).await.ok();
    domain.publish_key(changed["domain_key"].as_str().unwrap());
    application.owner_call("POST", "/verify").await.ok();
    application.activate().await;
}

async fn grant_of(user: &presence_tests::User) -> Value {
    user.call("GET", "/grants").await.ok()["grants"][0].clone()
}

#[tokio::test]
async fn an_application_on_another_domain_sees_nobody_until_they_agree_again() {
    let server = Server::start_default().await;
    let (application, alice, uid) = server.application_with("alice").await;
    let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
    let other = DomainServer::start().await;
    move_to(&application, &other).await;

    assert_eq!(application.presence_of(uid).await["status"], "offline");
    let listed = application.call("GET", "/presence").await.ok();
    assert_eq!(listed["presence"], json!([]));
    let sent = application.notify(&json!([{"uid": uid, "message": "Hello"}])).await.ok();
    assert_eq!(sent["results"][0]["result"], "OK", "the pseudonym stays valid: {sent}");
    phone.report("unavailable").await;
    phone.expect_no_frame().await;
    let mut tablet = Socket::device_of(&server, "alice", "tablet", "online").await;
    tablet.expect_no_frame().await;
    assert_eq!(application.presence_of(uid).await["status"], "offline");
    let waiting = grant_of(&alice).await;
    assert_eq!((&waiting["waiting"], &waiting["paused"]), (&json!(true), &json!(false)));
    assert_eq!(waiting["granted_domain"], application.domain.name(), "{waiting}");
    assert_eq!(waiting["domain"], other.name(), "{waiting}");
    let sidebar = alice.call("GET", "/sidebar").header("accept", "text/html").await;
    assert!(sidebar.text.contains("asks again under a new domain"), "{}", sidebar.text);
    // The end of a pause is no consent to another domain.
    alice.pause(&application, true).await;
    alice.pause(&application, false).await;
    assert_eq!(application.presence_of(uid).await["status"], "offline");

    assert_eq!(alice.grant(&application).await, uid);
    assert_eq!(application.presence_of(uid).await["status"], "online");
    let received = phone.receive().await;
    let item = &received["notifications"][0];
    assert_eq!((&item["message"], &item["domain"]), (&json!("Hello"), &json!(other.name())));
    assert_eq!(grant_of(&alice).await["waiting"], false);
}

/// Returns what a user is told about the last check.
async fn last_check(user: &presence_tests::User) -> Value {
    grant_of(user).await["last_looked_at"].clone()
}

#[tokio::test]
async fn checks_while_a_grant_waits_are_none_of_this_user() {
    let server = Server::start_default().await;
    let (application, alice, _) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    assert!(last_check(&alice).await.is_u64(), "an open socket checks all the time");
    let former = application.domain.name();
    let other = DomainServer::start().await;
    let body = json!({"domain": other.name()});
    application.owner_call("PATCH", "").json(&body).await.ok();
    stream.expect_close(presence_protocol::CloseCode::ApplicationClosed).await;
    assert_eq!(last_check(&alice).await, Value::Null);
    move_to(&application, &DomainServer::start().await).await;
    let (_stream, _) = Socket::stream(&server, &application).await;
    assert_eq!(last_check(&alice).await, Value::Null, "the grant is for {former}");
    alice.pause(&application, true).await;
    assert_eq!(last_check(&alice).await, Value::Null);
    alice.pause(&application, false).await;
    let sidebar = alice.call("GET", "/sidebar").header("accept", "text/html").await;
    assert!(sidebar.text.contains("cannot check until you allow it"), "{}", sidebar.text);
    alice.grant(&application).await;
    let agreed = last_check(&alice).await;
    assert!(agreed.is_u64(), "from the yes on, the open socket checks again");
}

#[tokio::test]
async fn a_yes_under_a_new_domain_tells_of_no_check_before_it() {
    let server = Server::start_default().await;
    let (application, alice, uid) = server.application_with("alice").await;
    move_to(&application, &DomainServer::start().await).await;
    application.presence_of(uid).await;
    application.call("GET", "/presence").await.ok();
    alice.grant(&application).await;
    assert_eq!(last_check(&alice).await, Value::Null);
    application.presence_of(uid).await;
    assert!(last_check(&alice).await.is_u64());
}

#[tokio::test]
async fn an_application_that_returns_to_its_domain_needs_no_new_consent() {
    let server = Server::start_default().await;
    let (application, alice, uid) = server.application_with("alice").await;
    let _phone = Socket::device_of(&server, "alice", "phone", "online").await;
    move_to(&application, &DomainServer::start().await).await;
    assert_eq!(application.presence_of(uid).await["status"], "offline");
    move_to(&application, &application.domain).await;
    assert_eq!(application.presence_of(uid).await["status"], "online");
    assert_eq!(grant_of(&alice).await["waiting"], false);
}

#[tokio::test]
async fn a_consent_page_of_the_former_domain_grants_nothing() {
    let server = Server::start_default().await;
    let (application, alice, uid) = server.application_with("alice").await;
    let former = application.domain.name();
    let other = DomainServer::start().await;
    move_to(&application, &other).await;
    let path = format!("/grant/{}", application.appid);
    let shown = alice.call("GET", &path).header("accept", "text/html").await;
    assert!(shown.text.contains(&former) && shown.text.contains(&other.name()), "{}", shown.text);
    let _phone = Socket::device_of(&server, "alice", "phone", "online").await;
    let form = |domain: &str| {
        let fields = [("decision", "yes"), ("domain", domain)];
        alice.call("POST", &path).form(&fields)
    };
    assert_eq!(form(&former).await.status, 400);
    assert_eq!(application.presence_of(uid).await["status"], "offline");
    assert_eq!(form(&other.name()).await.status, 200);
    assert_eq!(application.presence_of(uid).await["status"], "online");
}
