//! The tokens that are accepted.

use presence_protocol::Errno;
use presence_tests::{Server, ServerOptions, Socket, email};
use serde_json::{Value, json};

use super::issuer::{EMAIL, OidcIssuer, OidcKey, seconds, with_issuers};

#[tokio::test]
async fn a_token_of_a_configured_issuer_opens_a_session_and_another_a_device() {
    let issuer = OidcIssuer::start().await;
    let server = issuer.server(ServerOptions::default()).await;
    let body = json!({"assertion": issuer.token(&json!({})), "email": EMAIL, "scope": "account"});
    let opened = server.call("POST", "/session").json(&body).await.ok();
    assert_eq!((&opened["email"], &opened["scope"]), (&json!(EMAIL), &json!("account")));
    let mut device = Socket::device(&server).await;
    device
        .send(json!({"assertion": issuer.token(&json!({})), "email": EMAIL, "status": "online"}))
        .await;
    device.expect_ok().await;
    device.report("unavailable").await;
}

#[tokio::test]
async fn a_token_can_be_used_only_once_as_an_assertion() {
    let issuer = OidcIssuer::start().await;
    let server = issuer.server(ServerOptions::default()).await;
    let post = |token: &str| server.call("POST", "/session").json(&json!({"assertion": token}));
    let (session, device) = (issuer.token(&json!({})), issuer.token(&json!({})));
    post(&session).await.ok();
    post(&session).await.assert_error(Errno::InvalidAssertion);
    let first_frame = |device: &str, token: &str| json!({"assertion": token, "status": "online", "device": device});
    let mut phone = Socket::device(&server).await;
    phone.send(first_frame("phone", &session)).await;
    phone.expect_error(Errno::InvalidAssertion).await;
    phone.send(first_frame("phone", &device)).await;
    phone.expect_ok().await;
    let mut tablet = Socket::device(&server).await;
    tablet.send(first_frame("tablet", &device)).await;
    tablet.expect_error(Errno::InvalidAssertion).await;
    post(&device).await.assert_error(Errno::InvalidAssertion);
}

#[tokio::test]
async fn a_token_is_accepted_for_15_minutes_after_its_issue() {
    let issuer = OidcIssuer::start().await;
    let server = issuer.server(ServerOptions::default()).await;
    let post = |age: u64| {
        let token = issuer.token(&json!({"iat": seconds() - age, "exp": seconds() + 3_600}));
        server.call("POST", "/session").json(&json!({"assertion": token}))
    };
    post(840).await.ok();
    post(901).await.assert_error(Errno::InvalidAssertion);
    let settings = issuer.issuer_settings(&json!({}));
    let options = ServerOptions::default().with("id-token-seconds", 1_000);
    let server = Server::start(with_issuers(options, &[settings])).await;
    let token = issuer.token(&json!({"iat": seconds() - 901, "exp": seconds() + 3_600}));
    server.call("POST", "/session").json(&json!({"assertion": token})).await.ok();
}

#[tokio::test]
async fn a_token_for_another_server_or_by_another_issuer_is_refused() {
    let issuer = OidcIssuer::start().await;
    let server = issuer.server(ServerOptions::default()).await;
    let refused = async |what: &str, token: String| {
        let answer = server.call("POST", "/session").json(&json!({"assertion": token})).await;
        assert_eq!(answer.json()["errno"], Errno::InvalidAssertion.number(), "{what}");
        assert!(!answer.text.contains("mail"), "{what}: {}", answer.text);
    };
    for (what, changes) in [
        ("another client's", json!({"aud": "another"})),
        ("another issuer's", json!({"iss": "https://evil.example"})),
        ("expired", json!({"exp": 1_700_000_000})),
        ("not verified", json!({"email_verified": false})),
        ("of another domain", json!({"email": "alice@other.example"})),
        ("without an e-mail", json!({"email": Value::Null})),
        ("with an e-mail that is none", json!({"email": "alice"})),
    ] {
        refused(what, issuer.token(&changes)).await;
    }
    let forger = OidcKey::new("first");
    refused("forged", issuer.token_by(&forger, "first", &json!({}))).await;
}

#[tokio::test]
async fn tokens_need_a_configured_issuer_and_assertions_still_work_beside_it() {
    let issuer = OidcIssuer::start().await;
    let none = Server::start_default().await;
    let body = json!({"assertion": issuer.token(&json!({}))});
    none.call("POST", "/session").json(&body).await.assert_error(Errno::InvalidAssertion);
    assert_eq!(issuer.key_requests(), 0);
    let server = issuer.server(ServerOptions::default()).await;
    assert_eq!(server.sign_in("alice").await.email(), email("alice"));
}

#[tokio::test]
async fn without_an_email_the_account_is_the_issuers_subject() {
    let issuer = OidcIssuer::start().await;
    let by_subject =
        issuer.issuer_settings(&json!({"email_domains": [], "subject_domain": "accounts.example"}));
    let server = Server::start(with_issuers(ServerOptions::default(), &[by_subject])).await;
    let token = issuer.token(&json!({"email": Value::Null}));
    let body = json!({"assertion": token, "email": "24@accounts.example"});
    let opened = server.call("POST", "/session").json(&body).await.ok();
    assert_eq!(opened["email"], "24@accounts.example");
}

#[tokio::test]
async fn two_issuers_share_an_account_only_if_the_operator_gave_both_the_domain() {
    let (first, second) = (OidcIssuer::start().await, OidcIssuer::start().await);
    let both = [
        first.issuer_settings(&json!({})),
        second.issuer_settings(&json!({"name": "other", "email_domains": ["other.example"]})),
    ];
    let server = Server::start(with_issuers(ServerOptions::default(), &both)).await;
    let post = |token: String| server.call("POST", "/session").json(&json!({"assertion": token}));
    post(first.token(&json!({}))).await.ok();
    post(second.token(&json!({}))).await.assert_error(Errno::InvalidAssertion);
    post(second.token(&json!({"email": "alice@other.example"}))).await.ok();
    // A token that is signed with the key of another issuer is refused too.
    let mixed = first.token_by(&second.key, "first", &json!({}));
    post(mixed).await.assert_error(Errno::InvalidAssertion);
}

#[tokio::test]
async fn no_email_and_no_token_is_in_the_log() {
    let issuer = OidcIssuer::start().await;
    let mut server = issuer.server(ServerOptions::default().with("log", "debug")).await;
    let token = issuer.token(&json!({}));
    server.call("POST", "/session").json(&json!({"assertion": token})).await.ok();
    let bad = issuer.token(&json!({"email_verified": false}));
    let refused = server.call("POST", "/session").json(&json!({"assertion": bad})).await;
    refused.assert_error(Errno::InvalidAssertion);
    let log = server.complete_log().await;
    assert!(log.contains("email_not_verified"), "{log}");
    for secret in [EMAIL, &token, &bad] {
        assert!(!log.contains(secret), "{log}");
    }
}
