//! The access log: a line for each request, which names no person.

use presence_tests::{Server, ServerOptions, Socket};
use serde_json::{Value, json};

use super::logs::use_all_features;

/// The options of a server that logs nothing but requests.
fn options(format: &str) -> ServerOptions {
    ServerOptions::default().with("log", "off").with("log-format", format).with("access-log", true)
}

/// Returns the lines of a JSON log.
fn parse(log: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
    log.lines().map(parse).collect()
}

#[tokio::test]
async fn each_request_is_a_line_with_its_route_status_and_id() {
    let mut server = Server::start(options("json")).await;
    let user = server.sign_in("alice").await;
    let unknown = "/apps/0123456789abcdef0123456789abcdef?secret=hunter2";
    let answers = [
        (server.call("GET", "/__version__").await, "GET", json!("/__version__")),
        (user.call("GET", unknown).await, "GET", json!("/apps/{appid}")),
        (server.call("GET", "/hunter2").await, "GET", Value::Null),
        (server.call("HUNTER2", "/grants").await, "_OTHER", json!("/grants")),
        (server.call("GET", "/presence").await, "GET", json!("/presence")),
        (
            server.call("GET", "/assets/1/hunter2.js").await,
            "GET",
            json!("/assets/{version}/{name}"),
        ),
    ];
    let _device = Socket::device_of(&server, "alice", "phone", "online").await;
    let log = server.complete_log().await;
    assert!(!log.contains("unter2") && !log.contains("0123456789"), "{log}");
    let lines = parse(&log);
    for (answer, method, route) in answers {
        let id = answer.header("x-request-id");
        let of_request = |line: &&Value| line["fields"]["request.id"] == id;
        let mut found = lines.iter().filter(of_request);
        let (line, second) = (found.next().unwrap(), found.next());
        let fields = &line["fields"];
        assert_eq!((&fields["method"], &fields["route"]), (&json!(method), &route), "{line}");
        assert_eq!(fields["status"], answer.status, "{line}");
        assert!(fields["milliseconds"].as_f64().unwrap() > 0.0, "{line}");
        assert!(fields["client"].is_null() && second.is_none(), "{line} {second:?}");
    }
    let upgraded = |line: &&Value| line["fields"]["status"] == 101;
    assert_eq!(lines.iter().filter(upgraded).count(), 1, "{log}");
}

#[tokio::test]
async fn the_access_log_names_no_person() {
    for format in ["pretty", "json"] {
        let mut server = Server::start(options(format)).await;
        let mut secrets = use_all_features(&server).await;
        let (application, alice, uid) = server.application_with("bob").await;
        server.call("GET", &format!("/grant/{}?id=bob", application.appid)).await;
        secrets.extend([application.appid, alice.token, uid.to_string()]);
        secrets.extend(["127.0.0.1", "Chat", "?"].map(str::to_owned));
        let log = server.complete_log().await;
        assert!(log.lines().count() > 30, "{log}");
        let found: Vec<_> = secrets.iter().filter(|secret| log.contains(*secret)).collect();
        assert!(found.is_empty(), "{found:?} is in\n{log}");
    }
}

#[tokio::test]
async fn there_is_no_access_log_and_no_address_unless_asked_for() {
    let mut server = Server::start(ServerOptions::default().with("log", "trace")).await;
    server.call("GET", "/__version__").await.ok();
    assert!(!server.complete_log().await.contains("presence_access"));

    let options = options("json").production().with("access-log-addresses", true);
    let mut server = Server::start(options.with("trusted-proxies", "127.0.0.1")).await;
    server.call("GET", "/__version__").header("x-forwarded-for", "203.0.113.9").await.ok();
    let lines = parse(&server.complete_log().await);
    assert_eq!(lines[0]["fields"]["client"], "203.0.113.9", "{lines:?}");
}
