//! The calls that each kind of credential allows.

use poem::http::Method;
use serde_json::json;

use super::fixture::Server;

/// The id of an Application that does not exist.
const UNKNOWN_APP: &str = "00000000000000000000000000000000";

#[tokio::test]
async fn each_call_requires_its_kind_of_credential() {
    let server = Server::development().await;
    let account = server.sign_in("dev@dev.localhost", "account").await;
    let (app, key) = server.active_app(&account).await;
    let presence = format!("/apps/{app}/presence");
    let unknown_presence = format!("/apps/{UNKNOWN_APP}/presence");
    let wrong = key.replace("prs_test_", "prs_live_");

    assert_eq!(server.get("/grants").errno().await, 30);
    assert_eq!(server.get("/grants").header("authorization", "Basic YTpi").errno().await, 30);
    assert_eq!(server.get("/grants").bearer("nonsense").errno().await, 30);
    assert_eq!(server.get("/grants").bearer(&key).errno().await, 45);
    assert_eq!(server.get("/grants").bearer(&account).errno().await, 0);

    assert_eq!(server.get(&presence).errno().await, 30);
    assert_eq!(server.get(&presence).bearer(&account).errno().await, 45);
    assert_eq!(server.get(&presence).cookie(&account).errno().await, 45);
    assert_eq!(server.get(&presence).bearer("nonsense").errno().await, 41);
    assert_eq!(server.get(&presence).bearer(&wrong).errno().await, 41);
    assert_eq!(server.get(&unknown_presence).bearer(&key).errno().await, 41);
    assert_eq!(server.get("/apps/x/presence").bearer(&key).errno().await, 40);
    assert_eq!(server.get(&presence).bearer(&key).errno().await, 0);
}

#[tokio::test]
async fn a_device_session_may_only_read_and_sign_out() {
    let server = Server::development().await;
    let device = server.sign_in("alice@dev.localhost", "device").await;
    for path in ["/session", "/grants", "/devices", "/account"] {
        assert_eq!(server.get(path).bearer(&device).errno().await, 0, "{path}");
    }
    let app = format!("/apps/{UNKNOWN_APP}");
    let forbidden = [
        (Method::POST, format!("/grant/{UNKNOWN_APP}")),
        (Method::PATCH, format!("/grants/{UNKNOWN_APP}")),
        (Method::DELETE, format!("/grants/{UNKNOWN_APP}")),
        (Method::DELETE, "/devices/default".to_owned()),
        (Method::DELETE, "/account".to_owned()),
        (Method::POST, "/apps".to_owned()),
        (Method::GET, "/apps".to_owned()),
        (Method::GET, app.clone()),
        (Method::PATCH, app.clone()),
        (Method::DELETE, app.clone()),
        (Method::POST, format!("{app}/verify")),
        (Method::POST, format!("{app}/activate")),
        (Method::POST, format!("{app}/deactivate")),
        (Method::POST, format!("{app}/keys")),
        (Method::GET, format!("{app}/keys")),
        (Method::DELETE, format!("{app}/keys/1")),
    ];
    for (method, path) in forbidden {
        let errno = server.call(method.clone(), &path).bearer(&device).errno().await;
        assert_eq!(errno, 45, "{method} {path}");
    }
    assert_eq!(server.delete("/session").bearer(&device).errno().await, 0);
    assert_eq!(server.get("/session").bearer(&device).errno().await, 32);
}

#[tokio::test]
async fn a_write_by_cookie_needs_the_same_origin_and_the_token() {
    let server = Server::development().await;
    let token = server.sign_in("alice@dev.localhost", "account").await;
    let session = server.get("/session").cookie(&token).send().await.json();
    let csrf = session["csrf_token"].as_str().unwrap();
    let body = json!({ "name": "A", "domain": "a.example.org" });
    let write = || server.post("/apps").cookie(&token).json(&body);
    let origin = server.origin.as_str();

    assert_eq!(write().errno().await, 45);
    assert_eq!(write().header("origin", origin).errno().await, 45);
    assert_eq!(write().header("x-csrf-token", csrf).errno().await, 45);
    let foreign = write().header("origin", "http://evil.example").header("x-csrf-token", csrf);
    assert_eq!(foreign.errno().await, 45);
    let null_origin = write().header("origin", "null").header("x-csrf-token", csrf);
    assert_eq!(null_origin.errno().await, 45);
    let wrong_token = write()
        .header("origin", origin)
        .header("x-csrf-token", &csrf.chars().rev().collect::<String>());
    assert_eq!(wrong_token.errno().await, 45);
    let cross_site = write().header("origin", origin).header("x-csrf-token", csrf);
    assert_eq!(cross_site.header("sec-fetch-site", "cross-site").errno().await, 45);
    let valid = write().header("origin", origin).header("x-csrf-token", csrf);
    assert_eq!(valid.errno().await, 0);
}

#[tokio::test]
async fn a_bearer_token_wins_over_a_cookie_and_needs_no_csrf_token() {
    let server = Server::development().await;
    let alice = server.sign_in("alice@dev.localhost", "account").await;
    let bob = server.sign_in("bob@dev.localhost", "account").await;
    let session = server.get("/session").bearer(&bob).cookie(&alice).send().await.json();
    assert_eq!(session["email"], "bob@dev.localhost");
    assert!(session.get("csrf_token").is_none());
    let body = json!({ "name": "A", "domain": "a.example.org" });
    assert_eq!(server.post("/apps").bearer(&bob).cookie(&alice).json(&body).errno().await, 0);
}

#[tokio::test]
async fn only_a_page_of_the_same_origin_gets_a_cookie() {
    let server = Server::development().await;
    let origin = server.origin.as_str();
    let sign_in = || {
        let body = json!({ "assertion": server.assertion("alice@dev.localhost") });
        server.post("/session").json(&body)
    };
    for call in [
        sign_in(),
        sign_in().header("origin", "http://evil.example"),
        sign_in().header("origin", origin).header("sec-fetch-site", "same-site"),
        sign_in().header("sec-fetch-site", "same-origin"),
    ] {
        let response = call.send().await;
        assert_eq!(response.status, 200);
        assert_eq!(response.header("set-cookie"), "");
        assert_eq!(response.header("cache-control"), "no-store");
        assert_eq!(response.json()["scope"], "device");
    }
    let response = sign_in().header("origin", origin).send().await;
    let cookie = response.header("set-cookie");
    let token = response.json()["token"].as_str().unwrap().to_owned();
    assert!(cookie.starts_with(&format!("presence={token}; Path=/; Max-Age=")), "{cookie}");
    assert!(cookie.ends_with("; HttpOnly; SameSite=Lax"), "{cookie}");
    let csrf = response.json()["csrf_token"].as_str().unwrap().to_owned();
    let sign_out = server.delete("/session").cookie(&token);
    let sign_out = sign_out.header("origin", origin).header("x-csrf-token", &csrf).send().await;
    assert_eq!(sign_out.text, r#"{"result":"OK"}"#);
    assert!(sign_out.header("set-cookie").starts_with("presence=; Path=/; Max-Age=0"));
}

#[tokio::test]
async fn over_tls_the_cookie_has_the_host_prefix() {
    let server = Server::with_url("https://presence.example", false).await;
    let body = json!({ "assertion": server.assertion("alice@dev.localhost") });
    let response =
        server.post("/session").header("origin", &server.origin).json(&body).send().await;
    let cookie = response.header("set-cookie");
    assert!(cookie.starts_with("__Host-presence=prt_"), "{cookie}");
    assert!(cookie.ends_with("; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
    let (pair, _) = cookie.split_once(';').unwrap();
    assert_eq!(server.get("/session").header("cookie", pair).errno().await, 0);
    let plain = pair.replace("__Host-", "");
    assert_eq!(server.get("/session").header("cookie", &plain).errno().await, 30);
}

#[tokio::test]
async fn an_assertion_opens_one_session() {
    let server = Server::development().await;
    let assertion = server.assertion("alice@dev.localhost");
    let body = json!({ "assertion": assertion, "email": "alice@dev.localhost" });
    assert_eq!(server.post("/session").json(&body).errno().await, 0);
    assert_eq!(server.post("/session").json(&body).errno().await, 34);
    let other =
        json!({ "assertion": server.assertion("a@dev.localhost"), "email": "b@dev.localhost" });
    assert_eq!(server.post("/session").json(&other).errno().await, 35);
}

#[tokio::test]
async fn erasing_an_account_clears_its_cookie() {
    let server = Server::development().await;
    let token = server.sign_in("alice@dev.localhost", "account").await;
    let session = server.get("/session").cookie(&token).send().await.json();
    let erase = server.delete("/account").cookie(&token).header("origin", &server.origin);
    let erase = erase.header("x-csrf-token", session["csrf_token"].as_str().unwrap()).send().await;
    assert_eq!(erase.text, r#"{"result":"OK"}"#);
    assert!(erase.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(server.get("/account").bearer(&token).errno().await, 32);
}
