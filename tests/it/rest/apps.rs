//! Registering, verifying, activating, changing and removing Applications.

use presence_protocol::Errno;
use presence_tests::{DomainServer, RestResponse, Server, ServerOptions, User};
use serde_json::{Value, json};
use tokio::task::JoinSet;

async fn register(owner: &User, domain: &str) -> Value {
    let body = json!({"name": "Chat", "domain": domain, "description": "A test"});
    let answer = owner.call("POST", "/apps").json(&body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.json()
}

fn path(app: &Value, below: &str) -> String {
    format!("/apps/{}{below}", app["appid"].as_str().unwrap())
}

#[tokio::test]
async fn an_application_is_registered_verified_and_activated() {
    let server = Server::start_default().await;
    let owner = server.sign_in("developer").await;
    let domain = DomainServer::start().await;
    let app = register(&owner, &domain.name()).await;
    assert_eq!(app["state"], "registered");
    owner.call("POST", &path(&app, "/activate")).await.assert_error(Errno::DomainNotVerified);
    owner.call("POST", &path(&app, "/keys")).await.assert_error(Errno::DomainNotVerified);
    domain.publish_key(&format!("  {}\n", app["domain_key"].as_str().unwrap()));
    let verified = owner.call("POST", &path(&app, "/verify")).await.ok();
    assert_eq!(verified["state"], "verified");
    assert_eq!(domain.requested_paths(), ["/__presence"]);
    let active = owner.call("POST", &path(&app, "/activate")).await.ok();
    assert_eq!(active["state"], "active");
    assert!(active["api_key"].is_string());
    let again = owner.call("POST", &path(&app, "/activate")).await.ok();
    assert_eq!((&again["state"], &again["api_key"]), (&json!("active"), &Value::Null));
    let stopped = owner.call("POST", &path(&app, "/deactivate")).await.ok();
    assert_eq!(stopped["state"], "inactive");
    let started = owner.call("POST", &path(&app, "/activate")).await.ok();
    assert_eq!((&started["state"], &started["api_key"]), (&json!("active"), &Value::Null));
}

#[tokio::test]
async fn verifications_are_limited_for_each_developer_and_each_host() {
    let server = Server::start(ServerOptions::default().with("verifications-burst", 3)).await;
    let (victim, other) = (DomainServer::start().await, DomainServer::start().await);
    let mallory = server.sign_in("mallory").await;
    let (mut asked, mut refused) = (0, 0);
    for _ in 0..20 {
        let app = register(&mallory, &victim.name()).await;
        let answer = mallory.call("POST", &path(&app, "/verify")).await;
        if answer.status == Errno::SlowDown.http_status() {
            answer.assert_error(Errno::SlowDown);
            refused += 1;
        } else {
            answer.assert_error(Errno::DomainNotVerified);
            asked += 1;
        }
    }
    assert!(asked >= 3 && refused >= 1, "{asked} {refused}");
    assert_eq!(victim.requested_paths().len(), asked);
    // The host is limited whoever has it verified. A developer whom it refuses has used up nothing,
    // and reaches another host.
    let mut by_host = 0;
    for n in 0..10 {
        let developer = server.sign_in(&format!("developer-{n}")).await;
        let app = register(&developer, &victim.name()).await;
        let answer = developer.call("POST", &path(&app, "/verify")).await;
        if answer.status == Errno::SlowDown.http_status() {
            by_host += 1;
            let elsewhere = register(&developer, &other.name()).await;
            if by_host == 1 {
                let answer = developer.call("POST", &path(&elsewhere, "/verify")).await;
                answer.assert_error(Errno::DomainNotVerified);
            }
        }
    }
    assert!(by_host >= 1, "the host is not limited");
}

#[tokio::test]
async fn a_domain_that_does_not_show_the_key_is_not_verified() {
    let options = ServerOptions::default().with("log", "debug");
    let server = Server::start(options).await;
    let owner = server.sign_in("developer").await;
    let (domain, elsewhere) = (DomainServer::start().await, DomainServer::start().await);
    let app = register(&owner, &domain.name()).await;
    let key = app["domain_key"].as_str().unwrap();
    elsewhere.publish_key(key);
    let verify = || owner.call("POST", &path(&app, "/verify"));
    verify().await.assert_error(Errno::DomainNotVerified);
    domain.publish_key("another key");
    verify().await.assert_error(Errno::DomainNotVerified);
    domain.publish_key(&format!("{key}x"));
    verify().await.assert_error(Errno::DomainNotVerified);
    domain.answer("/__presence", "404 Not Found", &[], key.as_bytes());
    verify().await.assert_error(Errno::DomainNotVerified);
    // A redirect is never followed, because it would send the server to any address that the
    // domain's owner chooses.
    let there = format!("http://{}/__presence", elsewhere.name());
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"] {
        domain.answer("/__presence", status, &[("location", &there)], key.as_bytes());
        verify().await.assert_error(Errno::DomainNotVerified);
    }
    assert_eq!(elsewhere.requested_paths(), Vec::<String>::new());
    // Whitespace around the key is ignored, but a page that does not end soon is not read to its
    // end.
    let endless = format!("{key}{}", " ".repeat(10_000_000));
    domain.answer("/__presence", "200 OK", &[], endless.as_bytes());
    verify().await.assert_error(Errno::DomainNotVerified);
    let unreachable = register(&owner, "127.0.0.1:1").await;
    owner.call("POST", &path(&unreachable, "/verify")).await.assert_error(Errno::DomainNotVerified);
    let unresolvable = register(&owner, "app.invalid").await;
    owner
        .call("POST", &path(&unresolvable, "/verify"))
        .await
        .assert_error(Errno::DomainNotVerified);
}

#[tokio::test]
async fn only_a_public_host_name_can_be_registered() {
    let server = Server::start_default().await;
    let owner = server.sign_in("developer").await;
    let long = format!("{}.example", "a".repeat(64));
    for domain in [
        "",
        "intranet",
        "10.0.0.1",
        "169.254.169.254",
        "127.0.0.2",
        "0x7f.1",
        "2130706433",
        "[::1]",
        "::1",
        "a.example:8080",
        "https://a.example",
        "a.example/path",
        "user@a.example",
        "A.example",
        "a..example",
        &long,
        "localhost:0",
        "localhost:99999",
        "localhost@evil.example",
        "bücher.example",
        "a.example.",
        "a b.example",
    ] {
        let body = json!({"name": "x", "domain": domain});
        let answer = owner.call("POST", "/apps").json(&body).await;
        assert_eq!(answer.json()["errno"], Errno::InvalidField.number(), "{domain}");
    }
}

#[tokio::test]
async fn the_texts_of_an_application_are_limited() {
    let server = Server::start_default().await;
    let owner = server.sign_in("developer").await;
    let body = |name: &str, description: &str| json!({"name": name, "domain": "a.example", "description": description});
    let post = |body: Value| owner.call("POST", "/apps").json(&body);
    let longest = body(&"é".repeat(200), &"é".repeat(2000));
    assert_eq!(post(longest).await.status, 201);
    post(body(&"é".repeat(201), "")).await.assert_error(Errno::InvalidField);
    post(body("x", &"é".repeat(2001))).await.assert_error(Errno::InvalidField);
    post(body("", "")).await.assert_error(Errno::InvalidField);
    post(body("\u{202e}evil", "")).await.assert_error(Errno::InvalidField);
    post(json!({"domain": "a.example"})).await.assert_error(Errno::MissingField);
    post(json!({"name": "x"})).await.assert_error(Errno::MissingField);
}

#[tokio::test]
async fn the_applications_of_a_developer_are_limited() {
    let server = Server::start(ServerOptions::default().with("apps-per-developer", 2)).await;
    let owner = server.sign_in("developer").await;
    let first = register(&owner, "a.example").await;
    register(&owner, "b.example").await;
    let body = json!({"name": "x", "domain": "c.example"});
    owner.call("POST", "/apps").json(&body).await.assert_error(Errno::TooLarge);
    owner.call("DELETE", &path(&first, "")).await.ok();
    let at_once: JoinSet<RestResponse> =
        (0..20).map(|_| owner.call("POST", "/apps").json(&body).into_future()).collect();
    let answers = at_once.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1, "{answers:?}");
}

#[tokio::test]
async fn an_application_does_not_exist_for_other_developers() {
    let server = Server::start_default().await;
    let (application, alice, _) = server.application_with("alice").await;
    let below = |below: &str| format!("/apps/{}{below}", application.appid);
    for (method, path) in [
        ("GET", below("")),
        ("PATCH", below("")),
        ("DELETE", below("")),
        ("POST", below("/verify")),
        ("POST", below("/activate")),
        ("POST", below("/deactivate")),
        ("POST", below("/keys")),
        ("GET", below("/keys")),
        ("DELETE", below("/keys/1")),
    ] {
        let call = || server.call(method, &path).json(&json!({"name": "Mine"}));
        call().bearer(&alice.token).await.assert_error(Errno::UnknownApplication);
        call().await.assert_error(Errno::NotAuthenticated);
        call().bearer(&application.api_key).await.assert_error(Errno::Forbidden);
    }
    assert_eq!(alice.call("GET", "/apps").await.ok(), json!({"apps": []}));
    let shown = application.owner_call("GET", "").await.ok();
    assert_eq!((&shown["name"], &shown["state"]), (&json!("Chat"), &json!("active")));
    let listed = application.owner.call("GET", "/apps").await.ok();
    assert_eq!(listed["apps"], json!([shown]));
}

#[tokio::test]
async fn a_change_keeps_the_fields_that_it_does_not_name() {
    let server = Server::start_default().await;
    let (application, _, _) = server.application_with("alice").await;
    let before = application.owner_call("GET", "").await.ok();
    let change = json!({"name": "Renamed"});
    let after = application.owner_call("PATCH", "").json(&change).await.ok();
    let mut expected = before.clone();
    expected["name"] = "Renamed".into();
    assert_eq!(after, expected);
    let same_domain = json!({"domain": application.domain.name()});
    let after = application.owner_call("PATCH", "").json(&same_domain).await.ok();
    assert_eq!(after, expected);
    let moved =
        application.owner_call("PATCH", "").json(&json!({"domain": "b.example"})).await.ok();
    assert_eq!(moved["state"], "registered");
    assert_ne!(moved["domain_key"], before["domain_key"]);
    application.call("GET", "/presence").await.assert_error(Errno::ApplicationNotActive);
}
