//! Development mode, and a server without it.

use presence_protocol::Errno;
use presence_tests::{Server, ServerOptions, email};
use serde_json::json;

#[tokio::test]
async fn development_mode_makes_assertions_for_users_of_its_own_domain() {
    let server = Server::start_default().await;
    let post = |body: serde_json::Value| server.call("POST", "/dev/assertion").json(&body);
    let made = post(json!({"email": email("alice")})).await.ok();
    assert_eq!(made["audience"], server.url());
    post(json!({"email": "alice@example.org"})).await.assert_error(Errno::InvalidField);
    post(json!({"email": email("alice"), "audience": "x"})).await.assert_error(Errno::InvalidField);
    post(json!({})).await.assert_error(Errno::MissingField);
    let page = server.call("GET", "/dev").await;
    assert_eq!(page.status, 200);
    let form = format!("email={}", email("alice"));
    let sent = |kind: &str| {
        let origin = server.url();
        server.call("POST", "/dev").header("origin", &origin).body(kind, form.as_str())
    };
    assert_eq!(sent("application/x-www-form-urlencoded").await.status, 200);
    sent("text/plain").await.assert_error(Errno::UnsupportedMediaType);
}

#[tokio::test]
async fn outside_development_mode_its_paths_do_not_exist() {
    let server = Server::start(ServerOptions::default().production()).await;
    let body = json!({"email": email("alice")});
    server.call("POST", "/dev/assertion").json(&body).await.assert_error(Errno::NotFound);
    server.call("GET", "/dev").await.assert_error(Errno::NotFound);
    let health = server.call("GET", "/__heartbeat__").await.ok();
    assert_eq!(health["development"], false, "{health}");
    let development = Server::start_default().await;
    let assertion = development.assertion("alice").await;
    let refused = server.call("POST", "/session").json(&json!({"assertion": assertion})).await;
    refused.assert_error(Errno::InvalidAssertion);
}
