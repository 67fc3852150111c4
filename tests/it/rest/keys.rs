//! API keys: several at once, so that one can be replaced without an interruption.

use presence_protocol::Errno;
use presence_tests::{Server, forged};
use serde_json::{Value, json};

#[tokio::test]
async fn a_key_is_shown_once_and_can_be_rotated_without_an_interruption() {
    let server = Server::start_default().await;
    let (application, _, _) = server.application_with("alice").await;
    let (id, second) = application.make_key().await;
    application.call("GET", "/presence").await.ok();
    application.call("GET", "/presence").bearer(&second).await.ok();
    let listed = application.owner_call("GET", "/keys").await;
    assert!(!listed.text.contains(&second) && !listed.text.contains(&application.api_key));
    let keys = listed.ok()["keys"].as_array().unwrap().clone();
    assert_eq!(keys.len(), 2);
    let made = keys.iter().find(|key| key["id"] == id).unwrap();
    assert!(second.starts_with(made["prefix"].as_str().unwrap()), "{made}");
    assert!(made["created_at"].is_u64() && made["last_used_at"].is_u64(), "{made}");
    let first = keys.iter().find(|key| key["id"] != id).unwrap();
    application.owner_call("DELETE", &format!("/keys/{}", first["id"])).await.ok();
    application.call("GET", "/presence").await.assert_error(Errno::InvalidApiKey);
    application.call("GET", "/presence").bearer(&second).await.ok();
    let gone = application.owner_call("DELETE", &format!("/keys/{}", first["id"])).await;
    gone.assert_error(Errno::NotFound);
}

#[tokio::test]
async fn an_application_has_twenty_keys_at_most() {
    let server = Server::start_default().await;
    let (application, _, _) = server.application_with("alice").await;
    // The activation has made the first key.
    let mut made = Vec::new();
    for _ in 1..20 {
        made.push(application.make_key().await.0);
    }
    application.owner_call("POST", "/keys").await.assert_error(Errno::TooLarge);
    application.owner_call("DELETE", &format!("/keys/{}", made[0])).await.ok();
    application.make_key().await;
}

#[tokio::test]
async fn a_key_is_valid_only_for_its_own_application() {
    let server = Server::start_default().await;
    let (application, alice, _) = server.application_with("alice").await;
    let other = server.application_named(&application.owner, "Other").await;
    application
        .call("GET", "/presence")
        .bearer(&other.api_key)
        .await
        .assert_error(Errno::InvalidApiKey);
    application.call("GET", "/presence").bearer("x").await.assert_error(Errno::InvalidApiKey);
    application.call("GET", "/presence").bearer(&alice.token).await.assert_error(Errno::Forbidden);
    let path = format!("/apps/{}/presence", application.appid);
    server.call("GET", &path).await.assert_error(Errno::NotAuthenticated);
    let unknown = "/apps/0123456789abcdef0123456789abcdef/presence";
    server.call("GET", unknown).bearer(&other.api_key).await.assert_error(Errno::InvalidApiKey);
}

#[tokio::test]
async fn a_forged_key_with_a_real_prefix_and_a_valid_checksum_is_refused() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let forged = forged(&application.api_key);
    let poll = application.call("GET", "/presence").bearer(&forged).await;
    poll.assert_error(Errno::InvalidApiKey);
    let body = json!({"notifications": [{"uid": uid, "message": "x"}]});
    let sent = application.call("POST", "/notifications").json(&body).bearer(&forged).await;
    sent.assert_error(Errno::InvalidApiKey);
    let keys = application.owner_call("GET", "/keys").await.ok();
    assert_eq!(keys["keys"][0]["last_used_at"], Value::Null, "{keys}");
}

#[tokio::test]
async fn the_database_contains_no_key() {
    let mut server = Server::start_default().await;
    let (application, _, _) = server.application_with("alice").await;
    server.terminate().await;
    let file = std::fs::read(server.database()).unwrap();
    let secret = application.api_key.as_bytes();
    assert!(!file.windows(secret.len()).any(|window| window == secret));
    server.restart().await;
    assert_eq!(application.call("GET", "/presence").await.ok()["presence"], json!([]));
    let keys = application.owner_call("GET", "/keys").await.ok();
    assert_ne!(keys["keys"][0]["prefix"], Value::Null);
}
