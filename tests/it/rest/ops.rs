//! Health, documents, metrics, and requests that the router refuses.

use presence_protocol::Errno;
use presence_tests::{Server, ServerOptions, Socket, StoppedServer};
use serde_json::{Value, json};

#[tokio::test]
async fn health_and_version_need_no_credential() {
    let server = Server::start(ServerOptions::default().with_metrics()).await;
    let health = server.call("GET", "/__heartbeat__").await.ok();
    assert_eq!((&health["status"], &health["warming_up"]), (&json!("ok"), &json!(false)));
    assert_eq!(server.call("GET", "/__lbheartbeat__").await.status, 200);
    assert!(server.call("GET", "/__version__").await.ok()["version"].is_string());
    let _device = Socket::device_of(&server, "alice", "phone", "online").await;
    let metrics = server.metrics().await;
    assert!(metrics.text.contains("# TYPE"), "{}", metrics.text);
    assert!(!metrics.text.contains("alice"), "{}", metrics.text);
}

#[tokio::test]
async fn the_documents_are_served_offline() {
    let server = Server::start_default().await;
    let openapi: Value = server.call("GET", "/openapi.json").await.ok();
    assert!(openapi["paths"]["/session"].is_object());
    let asyncapi = server.call("GET", "/asyncapi.yaml").await;
    assert!(asyncapi.text.starts_with("asyncapi:"), "{}", &asyncapi.text[..100]);
    let docs = server.call("GET", "/docs").await;
    assert_eq!(docs.status, 200);
    assert!(!docs.text.contains("https://cdn") && !docs.text.contains("unpkg"), "{}", docs.text);
}

#[tokio::test]
async fn unknown_paths_and_methods_get_the_common_error_form() {
    let server = Server::start_default().await;
    for path in ["/nothing", "/apps/x/y/z", "//", "/docs/../etc/passwd"] {
        let answer = server.call("GET", path).await;
        assert_eq!(answer.json()["errno"], Errno::NotFound.number(), "{path}: {}", answer.text);
    }
    let wrong = server.call("PUT", "/session").await;
    wrong.assert_error(Errno::MethodNotAllowed);
    assert_eq!(wrong.header("allow"), "DELETE, GET, HEAD, POST");
    for path in ["/presence", "/myapps/0123456789abcdef0123456789abcdef"] {
        server.call("GET", path).await.assert_error(Errno::InvalidField);
        server.call("POST", path).await.assert_error(Errno::MethodNotAllowed);
    }
}

#[tokio::test]
async fn every_response_has_the_security_headers() {
    let server = Server::start_default().await;
    for path in ["/", "/docs", "/session", "/nothing", "/__heartbeat__", "/dev"] {
        let answer = server.call("GET", path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_ne!(answer.header("content-security-policy"), "", "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
    }
    let asked = server.call("OPTIONS", "/session").header("origin", "https://evil.example").await;
    assert_eq!(asked.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn a_stopped_server_exits_with_0() {
    for signal in ["TERM", "INT", "USR2"] {
        let mut server = Server::start_default().await;
        let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
        server.signal(signal).await;
        let code = device.closed().await;
        assert_eq!(code, Some(if signal == "USR2" { 1012 } else { 1001 }));
        assert_eq!(server.stopped().await, StoppedServer::With(0));
    }
}
