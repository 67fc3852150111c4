//! Rotation of an issuer's keys.

use presence_protocol::Errno;
use presence_tests::{Server, ServerOptions};
use serde_json::json;

use super::issuer::{OidcIssuer, OidcKey};

async fn sign_in(server: &Server, token: String) -> presence_tests::RestResponse {
    server.call("POST", "/session").json(&json!({"assertion": token})).await
}

#[tokio::test]
async fn a_key_rotation_needs_one_request_and_fails_no_sign_in() {
    let issuer = OidcIssuer::start().await;
    let server = issuer.server(ServerOptions::default()).await;
    sign_in(&server, issuer.token(&json!({}))).await.ok();
    let before = issuer.key_requests();
    let second = OidcKey::new("second");
    issuer.publish(&[&issuer.key, &second]);
    for _ in 0..3 {
        sign_in(&server, issuer.token_by(&second, "second", &json!({}))).await.ok();
        sign_in(&server, issuer.token(&json!({}))).await.ok();
    }
    assert_eq!(issuer.key_requests(), before + 1);
}

#[tokio::test]
async fn unknown_key_ids_cause_one_request_to_the_issuer() {
    let issuer = OidcIssuer::start().await;
    let server = issuer.server(ServerOptions::default()).await;
    sign_in(&server, issuer.token(&json!({}))).await.ok();
    let before = issuer.key_requests();
    for number in 0..50 {
        let kid = format!("made-up-{number}");
        let answer = sign_in(&server, issuer.token_by(&issuer.key, &kid, &json!({}))).await;
        answer.assert_error(Errno::InvalidAssertion);
    }
    assert_eq!(issuer.key_requests(), before + 1);
    sign_in(&server, issuer.token(&json!({}))).await.ok();
}

#[tokio::test]
async fn known_keys_are_used_while_the_issuer_is_down() {
    let mut issuer = OidcIssuer::start().await;
    let server = issuer.server(ServerOptions::default()).await;
    sign_in(&server, issuer.token(&json!({}))).await.ok();
    let tokens =
        [issuer.token(&json!({})), issuer.token_by(&OidcKey::new("new"), "new", &json!({}))];
    issuer.stop().await;
    let [known, unknown] = tokens;
    sign_in(&server, known).await.ok();
    // The server cannot find out now whether this key exists.
    sign_in(&server, unknown).await.assert_error(Errno::IdentityUnavailable);
}
