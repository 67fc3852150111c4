//! Development mode, and a server without it.

use presence_protocol::Errno;
use presence_tests::{Server, ServerOptions, Socket, SocketRequest, email};
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
async fn development_mode_answers_to_this_machine_only() {
    let server = Server::start(ServerOptions::default().with("trusted-proxies", "127.0.0.1")).await;
    let body = json!({"email": email("alice")});
    let call = || server.call("POST", "/dev/assertion").json(&body);
    let port = server.address().port();
    for (name, value) in [
        ("host", "rebound.example"),
        ("host", &format!("192.0.2.1:{port}")),
        ("x-forwarded-for", "203.0.113.9"),
        ("forwarded", "for=203.0.113.9"),
        ("x-forwarded-host", "presence.example.org"),
    ] {
        call().header(name, value).await.assert_error(Errno::Forbidden);
        server.call("GET", "/docs").header(name, value).await.assert_error(Errno::Forbidden);
    }
    let rebound = SocketRequest::device().header("host", "rebound.example");
    Socket::try_open(&server, rebound).await.unwrap_err().assert_error(Errno::Forbidden);
    for (name, value) in [
        ("host", &*format!("localhost:{port}")),
        ("host", "presence.localhost"),
        ("x-forwarded-for", "127.0.0.1"),
    ] {
        call().header(name, value).await.ok();
    }
    // In production, a proxy in front is what is expected.
    let server = Server::start(ServerOptions::default().production()).await;
    let forwarded = server.call("GET", "/docs").header("host", "presence.example.org");
    assert_eq!(forwarded.header("x-forwarded-for", "203.0.113.9").await.status, 200);
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
