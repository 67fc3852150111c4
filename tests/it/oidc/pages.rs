//! Signing in through the page of a provider. Tests with a browser are in `tests/browser` and
//! `tests/identity`.

use presence_protocol::Errno;
use presence_tests::{Server, ServerOptions};
use serde_json::json;

use super::issuer::{OidcIssuer, with_issuers};

/// Starts a server with a provider, on which an address may send few wrong credentials.
async fn start_with_low_limits(issuer: &OidcIssuer) -> Server {
    let options = ServerOptions::default()
        .with("failed-credentials-burst", 5)
        .with("failed-credentials-per-second", 1)
        .with("sign-ins-per-second", 20);
    let settings = issuer.issuer_settings(&json!({"sign_in": true}));
    Server::start(with_issuers(options, &[settings])).await
}

#[tokio::test]
async fn what_any_site_can_make_a_browser_send_bars_no_address() {
    let issuer = OidcIssuer::start().await;
    let server = start_with_low_limits(&issuer).await;
    let secret = format!("presence-sign-in={}", "x".repeat(43));
    let session = format!("presence=prt_{}", "x".repeat(40));
    for _ in 0..60 {
        let path = "/sign-in/oidc/idp/callback?code=made-up&state=made-up";
        for cookie in ["", &secret] {
            let answer = server.call("GET", path).header("cookie", cookie).await;
            assert_eq!(answer.status, Errno::InvalidAssertion.http_status(), "{}", answer.text);
        }
        // The cookie of a session that is over.
        assert_eq!(server.call("GET", "/").header("cookie", &session).await.status, 200);
    }
    let body = json!({"assertion": issuer.token(&json!({}))});
    server.call("POST", "/session").json(&body).await.ok();
    server
        .call("POST", "/session")
        .json(&json!({"assertion": "made up"}))
        .await
        .assert_error(Errno::InvalidAssertion);
}

#[tokio::test]
async fn a_barred_address_gets_the_pages_that_need_no_session() {
    let issuer = OidcIssuer::start().await;
    let server = start_with_low_limits(&issuer).await;
    let wrong = format!("prt_{}", "x".repeat(40));
    let mut refused = 0;
    while server.call("GET", "/session").bearer(&wrong).await.status
        != Errno::SlowDown.http_status()
    {
        refused += 1;
        assert!(refused < 50, "there is no limit");
    }
    for path in ["/", "/sign-in", "/docs"] {
        for header in
            [("cookie", format!("presence={wrong}")), ("authorization", format!("Bearer {wrong}"))]
        {
            let answer = server.call("GET", path).header(header.0, &header.1).await;
            assert_eq!(answer.status, 200, "{path} {}: {}", header.0, answer.text);
        }
    }
}
