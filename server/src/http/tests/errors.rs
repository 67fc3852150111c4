//! Every error has the same format, from each layer of the server.

use bytes::Bytes;
use futures_util::stream;
use poem::Body;
use poem::http::Method;
use serde_json::{Value, json};

use super::fixture::{BODY_LIMIT, Server};
use crate::http::document;

#[tokio::test]
async fn each_kind_of_invalid_body_has_its_errno() {
    let server = Server::development().await;
    let token = server.sign_in("dev@dev.localhost", "account").await;
    let call = || server.post("/apps").bearer(&token);
    let json = |text: &'static str| call().header("content-type", "application/json").body(text);
    for (text, errno) in [
        ("", 10),
        ("{", 10),
        ("[]", 10),
        ("null", 10),
        ("\"a\"", 10),
        ("{}", 11),
        (r#"{"name":"A"}"#, 11),
        (r#"{"name":"A","domain":null}"#, 11),
        (r#"{"name":5,"domain":"a.example.org"}"#, 12),
        (r#"{"name":true,"domain":"a.example.org"}"#, 12),
        (r#"{"name":"A","domain":"a.example.org","description":{}}"#, 12),
        (r#"{"name":"A","domain":"https://a.example.org/"}"#, 12),
        (r#"{"name":"A","domain":"a.example.org","more":[1]}"#, 0),
        (r#"{"name":"A","domain":"a.example.org","description":null}"#, 0),
    ] {
        assert_eq!(json(text).errno().await, errno, "{text}");
    }
    let not_utf8 =
        call().header("content-type", "application/json").body(&b"{\"name\":\"\xff\"}"[..]);
    assert_eq!(not_utf8.errno().await, 10);
    assert_eq!(call().errno().await, 10);
    assert_eq!(call().body("{}").errno().await, 15);
    assert_eq!(call().header("content-type", "text/plain").body("{}").errno().await, 15);
    assert_eq!(call().form("name=A").errno().await, 15);
    let with_charset = call().header("content-type", "Application/JSON; charset=utf-8").body("{}");
    assert_eq!(with_charset.errno().await, 11);
}

#[tokio::test]
async fn an_error_names_the_field() {
    let server = Server::development().await;
    let response = server.post("/session").json(&json!({ "assertion": 5 })).send().await;
    let expected =
        r#"{"result":"KO","errno":12,"error":"A field is not valid: assertion must be a string"}"#;
    assert_eq!(response.text, expected);
    assert_eq!(response.header("content-type"), "application/json; charset=utf-8");
    let response =
        server.post("/session").json(&json!({ "assertion": "a~b", "scope": "all" })).send().await;
    assert!(response.text.contains("scope must be device or account"), "{}", response.text);
}

#[tokio::test]
async fn a_body_over_the_limit_is_rejected_while_it_is_read() {
    let server = Server::development().await;
    let big = json!({ "assertion": "a".repeat(BODY_LIMIT) });
    assert_eq!(server.post("/session").json(&big).errno().await, 14);
    let chunks = std::iter::repeat_n(Bytes::from_static(b"          "), BODY_LIMIT);
    let endless = Body::from_bytes_stream(stream::iter(chunks.map(Ok::<_, std::io::Error>)));
    let wrong_length = server.post("/session").header("content-type", "application/json");
    assert_eq!(wrong_length.header("content-length", "2").body(endless).errno().await, 14);
}

#[tokio::test]
async fn no_operation_reads_a_body_beyond_the_limit() {
    let server = Server::development().await;
    let token = server.sign_in("dev@dev.localhost", "account").await;
    let (app, key) = server.active_app(&token).await;
    let big = json!({ "a": "a".repeat(BODY_LIMIT) });
    let document: Value = serde_json::from_str(&document()).unwrap();
    let mut count = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            if operation["requestBody"].is_null() {
                continue;
            }
            let credential =
                if operation["security"][0]["api_key"].is_array() { &key } else { &token };
            let method: Method = method.to_uppercase().parse().unwrap();
            let call = server.call(method, &path.replace("{appid}", &app)).bearer(credential);
            assert_eq!(call.json(&big).errno().await, 14, "{path}");
            count += 1;
        }
    }
    assert!(count >= 6, "only {count} operations have a body");
}

#[tokio::test]
async fn errors_of_the_router_have_the_same_format() {
    let server = Server::development().await;
    let token = server.sign_in("dev@dev.localhost", "account").await;
    for path in ["/nowhere", "/session/", "/apps/a/b/c", "/docs/../x", "/docs/nothing.js"] {
        assert_eq!(server.get(path).errno().await, 47, "{path}");
    }
    let wrong = server.call(Method::PUT, "/session").send().await;
    assert_eq!(wrong.json()["errno"], 48);
    assert_eq!(wrong.header("allow"), "DELETE, GET, HEAD, POST");
    let wrong = server.post("/apps/0/keys/7").bearer(&token).send().await;
    assert_eq!((wrong.json()["errno"].as_u64(), wrong.header("allow")), (Some(48), "DELETE"));
    assert_eq!(server.call(Method::OPTIONS, "/session").errno().await, 48);
    assert_eq!(server.get("/apps/x").bearer(&token).errno().await, 40);
    assert_eq!(server.delete("/apps/x/keys/x").bearer(&token).errno().await, 47);
    assert_eq!(server.delete("/devices/a%20b").bearer(&token).errno().await, 47);
    assert_eq!(server.delete("/devices/phone").bearer(&token).errno().await, 47);
}

#[tokio::test]
async fn an_error_has_the_headers_for_a_retry() {
    let server = Server::development().await;
    let response = server.get("/account").send().await;
    assert_eq!(response.status, 401);
    assert_eq!(response.header("www-authenticate"), "Bearer");
    let token = server.sign_in("dev@dev.localhost", "account").await;
    let (domain, _served) = server.domain().await;
    let app = json!({ "name": "A", "domain": domain });
    let app = server.post("/apps").bearer(&token).json(&app).send().await;
    let verify = format!("{}/verify", app.header("location"));
    let mut attempts = 0;
    let slow = loop {
        let response = server.post(&verify).bearer(&token).send().await;
        if response.json()["errno"] != 43 {
            break response;
        }
        attempts += 1;
        assert!(attempts < 50, "the attempts are not limited");
    };
    assert_eq!(slow.status, 429);
    assert_eq!(slow.header("retry-after"), "1");
    assert!(slow.json()["retry_after"].as_f64().unwrap() <= 1.0);
}

#[tokio::test]
async fn every_response_has_the_security_headers_and_no_cors() {
    let server = Server::development().await;
    for path in ["/", "/openapi.json", "/session", "/nowhere", "/__heartbeat__", "/docs"] {
        let response = server.get(path).header("origin", "http://evil.example").send().await;
        assert!(response.headers.keys().all(|name| !name.as_str().starts_with("access-control")));
        assert_eq!(response.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(response.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(response.header("referrer-policy"), "same-origin", "{path}");
        let policy = response.header("content-security-policy");
        assert!(policy.contains("default-src 'none'"), "{path}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}");
    }
}
