//! Signing in and out, the cookie, and the rights of a session.

use presence_protocol::Errno;
use presence_tests::{RestResponse, Server, ServerOptions, Socket, email, forged};
use serde_json::{Value, json};

/// Signs in as a page of an origin. Returns the response and the cookie.
async fn sign_in_from(server: &Server, origin: Option<&str>) -> (RestResponse, Option<String>) {
    let body = json!({"assertion": server.assertion("alice").await, "scope": "account"});
    let mut call = server.call("POST", "/session").json(&body);
    if let Some(origin) = origin {
        call = call.header("origin", origin);
    }
    let answer = call.await;
    let cookie = answer.header("set-cookie").split(';').next().map(str::to_owned);
    (answer, cookie.filter(|cookie| !cookie.is_empty()))
}

#[tokio::test]
async fn signing_in_returns_a_token_of_the_user() {
    let server = Server::start_default().await;
    let body = json!({"email": email("alice"), "assertion": server.assertion("alice").await});
    let opened = server.call("POST", "/session").json(&body).await;
    assert_eq!(opened.header("cache-control"), "no-store");
    let opened = opened.ok();
    assert_eq!(opened["email"], email("alice"));
    let token = opened["token"].as_str().unwrap();
    let shown = server.call("GET", "/session").bearer(token).await.ok();
    assert_eq!((&shown["email"], &shown["scope"]), (&json!(email("alice")), &json!("device")));
    assert_eq!(shown["expires_at"], opened["expires_at"]);
    server.call("DELETE", "/session").bearer(token).await.ok();
    let gone = server.call("GET", "/session").bearer(token).await;
    gone.assert_error(Errno::SessionExpired);
    assert_eq!(gone.header("www-authenticate"), "Bearer");
}

#[tokio::test]
async fn a_forged_token_with_a_real_prefix_and_a_valid_checksum_is_refused() {
    let server = Server::start_default().await;
    let alice = server.sign_in("alice").await;
    let forged = forged(&alice.token);
    for (method, path) in [("GET", "/session"), ("GET", "/grants"), ("DELETE", "/account")] {
        server.call(method, path).bearer(&forged).await.assert_error(Errno::SessionExpired);
    }
    let by_cookie = format!("presence={forged}");
    let asked = server.call("GET", "/session").header("cookie", &by_cookie).await;
    asked.assert_error(Errno::SessionExpired);
    alice.call("GET", "/session").await.ok();
}

#[tokio::test]
async fn a_user_with_many_used_assertions_has_to_wait_and_none_can_be_used_again() {
    let server = Server::start(ServerOptions::default().with("proofs-per-user", 3)).await;
    let post =
        |assertion: &str| server.call("POST", "/session").json(&json!({"assertion": assertion}));
    let of_bob = server.assertion("bob").await;
    post(&of_bob).await.ok();
    let mut used = vec![of_bob];
    for _ in 0..3 {
        let assertion = server.assertion("alice").await;
        post(&assertion).await.ok();
        used.push(assertion);
    }
    let one_more = server.assertion("alice").await;
    for _ in 0..10 {
        let refused = post(&one_more).await;
        refused.assert_error(Errno::SlowDown);
        assert!(refused.json()["retry_after"].as_f64() > Some(1.0), "{}", refused.text);
    }
    for assertion in used {
        post(&assertion).await.assert_error(Errno::InvalidAssertion);
    }
    post(&server.assertion("carol").await).await.ok();
}

#[tokio::test]
async fn an_invalid_assertion_or_one_of_another_user_opens_no_session() {
    let server = Server::start_default().await;
    let post = |body: Value| server.call("POST", "/session").json(&body);
    post(json!({"assertion": "x"})).await.assert_error(Errno::InvalidAssertion);
    post(json!({})).await.assert_error(Errno::MissingField);
    post(json!({"assertion": 7})).await.assert_error(Errno::InvalidField);
    post(json!({"assertion": "x", "scope": "all"})).await.assert_error(Errno::InvalidField);
    let assertion = server.assertion("alice").await;
    let as_bob = json!({"assertion": assertion, "email": email("bob")});
    post(as_bob).await.assert_error(Errno::EmailMismatch);
    post(json!({"assertion": assertion})).await.ok();
    post(json!({"assertion": assertion})).await.assert_error(Errno::InvalidAssertion);
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused_with_its_error() {
    let server = Server::start(ServerOptions::default().with("body-bytes", 1000)).await;
    let post = |kind: &str, body: &str| server.call("POST", "/session").body(kind, body);
    post("application/json", "nonsense").await.assert_error(Errno::NotJson);
    post("application/json", "[]").await.assert_error(Errno::NotJson);
    post("text/plain", "{}").await.assert_error(Errno::UnsupportedMediaType);
    post("application/json", &" ".repeat(1001)).await.assert_error(Errno::TooLarge);
    let spaced = post("application/json; charset=utf-8", "{}").await;
    spaced.assert_error(Errno::MissingField);
}

#[tokio::test]
async fn a_device_session_can_only_read_and_sign_out() {
    let server = Server::start_default().await;
    let alice = server.sign_in_for("alice", "device").await;
    for path in ["/session", "/grants", "/devices", "/account"] {
        alice.call("GET", path).await.ok();
    }
    let appid = "0123456789abcdef0123456789abcdef";
    let writes = [
        ("POST", format!("/grant/{appid}")),
        ("PATCH", format!("/grants/{appid}")),
        ("DELETE", format!("/grants/{appid}")),
        ("DELETE", "/devices/phone".to_owned()),
        ("DELETE", "/account".to_owned()),
        ("POST", "/apps".to_owned()),
        ("GET", "/apps".to_owned()),
    ];
    for (method, path) in writes {
        let body = json!({"paused": true, "name": "x", "domain": "a.example"});
        let answer = alice.call(method, &path).json(&body).await;
        answer.assert_error(Errno::Forbidden);
    }
    alice.call("DELETE", "/session").await.ok();
}

#[tokio::test]
async fn only_a_page_of_the_same_origin_gets_a_cookie() {
    let server = Server::start_default().await;
    let own = server.url();
    let (answer, cookie) = sign_in_from(&server, Some(&own)).await;
    let set = answer.header("set-cookie");
    assert!(
        set.contains("HttpOnly") && set.contains("SameSite=Lax") && set.contains("Path=/"),
        "{set}"
    );
    let shown = server.call("GET", "/session").header("cookie", &cookie.unwrap()).await.ok();
    assert_eq!(shown["email"], email("alice"));
    for origin in [None, Some("https://evil.example"), Some("null"), Some("http://localhost")] {
        let (answer, cookie) = sign_in_from(&server, origin).await;
        answer.ok();
        assert_eq!(cookie, None, "{origin:?}");
    }
}

#[tokio::test]
async fn a_write_by_cookie_needs_the_same_origin_and_the_token() {
    let server = Server::start_default().await;
    let own = server.url();
    let (answer, cookie) = sign_in_from(&server, Some(&own)).await;
    let (cookie, csrf) = (cookie.unwrap(), answer.json()["csrf_token"].clone());
    let csrf = csrf.as_str().unwrap();
    let body = json!({"name": "New", "domain": "a.example"});
    let write = || server.call("POST", "/apps").json(&body).header("cookie", &cookie);
    write().await.assert_error(Errno::Forbidden);
    write().header("origin", &own).await.assert_error(Errno::Forbidden);
    write().header("x-csrf-token", csrf).await.assert_error(Errno::Forbidden);
    let elsewhere = write().header("x-csrf-token", csrf).header("origin", "https://evil.example");
    elsewhere.await.assert_error(Errno::Forbidden);
    // Headers that say more than the origin are trusted.
    let cross_site = write().header("x-csrf-token", csrf).header("origin", &own);
    cross_site.header("sec-fetch-site", "cross-site").await.assert_error(Errno::Forbidden);
    let (other, _) = sign_in_from(&server, Some(&own)).await;
    let foreign = other.json()["csrf_token"].as_str().unwrap().to_owned();
    let forged = write().header("origin", &own).header("x-csrf-token", &foreign);
    forged.await.assert_error(Errno::Forbidden);
    write().header("origin", &own).header("x-csrf-token", csrf).await.ok();
    // A bearer token takes precedence over the cookie, and needs neither.
    let bob = server.sign_in("bob").await;
    let by_both = write().bearer(&bob.token).await;
    assert_eq!(by_both.status, 201, "{}", by_both.text);
    assert_eq!(bob.call("GET", "/apps").await.ok()["apps"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn signing_out_by_cookie_removes_the_cookie() {
    let server = Server::start_default().await;
    let own = server.url();
    let (answer, cookie) = sign_in_from(&server, Some(&own)).await;
    let csrf = answer.json()["csrf_token"].as_str().unwrap().to_owned();
    let cookie = cookie.unwrap();
    let call = server.call("DELETE", "/session").header("cookie", &cookie);
    let gone = call.header("origin", &own).header("x-csrf-token", &csrf).await;
    gone.ok();
    assert!(gone.header("set-cookie").contains("Max-Age=0"), "{:?}", gone.headers);
    server
        .call("GET", "/session")
        .header("cookie", &cookie)
        .await
        .assert_error(Errno::SessionExpired);
}

#[tokio::test]
async fn one_session_too_many_ends_the_one_that_was_unused_for_the_longest_time() {
    let server = Server::start(ServerOptions::default().with("sessions-per-user", 3)).await;
    let connected = server.sign_in("alice").await;
    let mut phone = Socket::device(&server).await;
    assert_eq!(
        phone.ask(json!({"token": connected.token, "status": "online"})).await,
        json!({"result": "OK"})
    );
    let (unused, used) = (server.sign_in("alice").await, server.sign_in("alice").await);
    used.call("GET", "/session").await.ok();
    let newest = server.sign_in("alice").await;
    unused.call("GET", "/session").await.assert_error(Errno::SessionExpired);
    for session in [&connected, &used, &newest] {
        session.call("GET", "/session").await.ok();
    }
    phone.report("unavailable").await;
    // The session of an open connection is in use.
    for _ in 0..3 {
        server.sign_in("alice").await;
    }
    newest.call("GET", "/session").await.assert_error(Errno::SessionExpired);
    connected.call("GET", "/session").await.ok();
    phone.report("online").await;
}

#[tokio::test]
async fn sessions_survive_a_restart_and_the_database_contains_no_token() {
    let mut server = Server::start_default().await;
    let alice = server.sign_in("alice").await;
    server.kill().await;
    let file = std::fs::read(server.database()).unwrap();
    let log = server.database().with_file_name("presence.db-wal");
    let all = [file, std::fs::read(log).unwrap_or_default()].concat();
    let secret = alice.token.as_bytes();
    assert!(!all.windows(secret.len()).any(|window| window == secret));
    server.restart().await;
    assert_eq!(alice.call("GET", "/session").await.ok()["email"], email("alice"));
}

#[tokio::test]
async fn a_user_lists_the_sessions_and_ends_the_others() {
    let server = Server::start_default().await;
    let (alice, bob) = (server.sign_in("alice").await, server.sign_in("bob").await);
    let devices =
        [server.sign_in_for("alice", "device").await, server.sign_in_for("alice", "device").await];
    let mut phone = Socket::device(&server).await;
    let first = json!({"token": devices[0].token, "device": "phone", "status": "online"});
    assert_eq!(phone.ask(first).await["result"], "OK");
    let listed = alice.call("GET", "/sessions").await.ok();
    let listed = listed["sessions"].as_array().unwrap();
    let current: Vec<_> = listed.iter().map(|session| session["current"] == true).collect();
    assert_eq!((listed.len(), current.iter().filter(|current| **current).count()), (3, 1));
    let of_phone = listed.iter().find(|session| session["devices"] == json!(["phone"])).unwrap();
    assert_eq!((&of_phone["scope"], &of_phone["current"]), (&json!("device"), &json!(false)));
    let path = format!("/sessions/{}", of_phone["id"].as_str().unwrap());
    bob.call("DELETE", &path).await.assert_error(Errno::NotFound);
    devices[1].call("GET", "/sessions").await.assert_error(Errno::Forbidden);
    devices[1].call("DELETE", &path).await.assert_error(Errno::Forbidden);
    alice.call("DELETE", &path).await.ok();
    assert_eq!(phone.closed().await, Some(4003));
    devices[0].call("GET", "/session").await.assert_error(Errno::SessionExpired);
    alice.call("DELETE", &path).await.assert_error(Errno::NotFound);
    let own = listed.iter().find(|session| session["current"] == true).unwrap();
    let own = format!("/sessions/{}", own["id"].as_str().unwrap());
    alice.call("DELETE", &own).await.assert_error(Errno::NotFound);
    alice.call("DELETE", "/sessions").await.ok();
    devices[1].call("GET", "/session").await.assert_error(Errno::SessionExpired);
    let listed = alice.call("GET", "/sessions").await.ok();
    assert_eq!(listed["sessions"].as_array().unwrap().len(), 1);
    bob.call("GET", "/session").await.ok();
}
