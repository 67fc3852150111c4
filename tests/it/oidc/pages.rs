//! Signing in through the page of a provider. Tests with a browser are in `tests/browser` and
//! `tests/identity`.

use presence_protocol::Errno;
use presence_tests::{Server, ServerOptions};
use serde_json::json;

use super::issuer::{OidcIssuer, with_issuers};

#[tokio::test]
async fn an_address_with_invalid_callbacks_is_rate_limited() {
    let issuer = OidcIssuer::start().await;
    let options = ServerOptions::default()
        .with("failed-credentials-burst", 5)
        .with("failed-credentials-per-second", 1);
    let settings = issuer.issuer_settings(&json!({"sign_in": true}));
    let server = Server::start(with_issuers(options, &[settings])).await;
    let mut refused = 0;
    loop {
        let path = "/sign-in/oidc/idp/callback?code=made-up&state=made-up";
        let answer = server.call("GET", path).await;
        if answer.status == Errno::SlowDown.http_status() {
            break;
        }
        assert_eq!(answer.status, Errno::InvalidAssertion.http_status(), "{}", answer.text);
        refused += 1;
        assert!(refused < 50, "there is no limit");
    }
    assert!(refused >= 5, "{refused}");
    // All credentials of an address share one bucket.
    let body = json!({"assertion": "made up"});
    server.call("POST", "/session").json(&body).await.assert_error(Errno::SlowDown);
}
