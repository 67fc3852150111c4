//! The lifetime of sessions and sockets that an assertion opened.

use presence_protocol::{CloseCode, Errno};
use presence_tests::{Issuer, Server, ServerOptions, Socket, now};
use serde_json::{Value, json};

/// Starts a server on which a socket ends with the assertion that opened it.
async fn start_with_short_sessions(issuer: &Issuer) -> Server {
    let options = ServerOptions::default().with("browserid-issuers", issuer.host());
    let options = options.with("session-ends-with-assertion", true).with("status-burst", 100);
    Server::start(options).await
}

#[tokio::test]
async fn a_socket_ends_when_the_certificate_or_the_assertion_expires() {
    let issuer = Issuer::start().await;
    let server = start_with_short_sessions(&issuer).await;
    let sooner = |claims: &mut Value| claims["exp"] = (now() + 30_000).into();
    for which in ["certificate", "assertion"] {
        let assertion = issuer.mint("alice", &server.url(), |certificate, assertion| {
            sooner(if which == "certificate" { certificate } else { assertion });
        });
        let mut device = Socket::device(&server).await;
        device.send(json!({"assertion": assertion, "status": "online"})).await;
        device.expect_ok().await;
        // The announcement comes at once, because less than a minute is left.
        let left = device.receive().await["expires_in"].as_u64().unwrap();
        assert!((1..=30).contains(&left), "{which}: {left}");
    }
}

#[tokio::test]
async fn a_fresh_assertion_renews_a_socket_until_that_assertion_expires() {
    let issuer = Issuer::start().await;
    let server = start_with_short_sessions(&issuer).await;
    let mint = |seconds: u64| {
        issuer.mint("alice", &server.url(), |_, assertion| {
            assertion["exp"] = (now() + seconds * 1000).into();
        })
    };
    let mut device = Socket::device(&server).await;
    let hello = |assertion: String| json!({"assertion": assertion, "status": "online"});
    device.send(hello(mint(30))).await;
    device.expect_ok().await;
    assert!(device.receive().await["expires_in"].as_u64() <= Some(30));
    device.send(hello(mint(500))).await;
    device.expect_ok().await;
    device.expect_no_frame().await;
    // An earlier end counts too, because the newest assertion determines the end of the socket.
    device.send(hello(mint(40))).await;
    device.expect_ok().await;
    let left = device.receive().await["expires_in"].as_u64().unwrap();
    assert!(left <= 40, "{left}");
    let of_bob = issuer.assertion("bob", &server.url());
    device.send(hello(of_bob)).await;
    device.expect_error(Errno::EmailMismatch).await;
}

#[tokio::test]
async fn an_assertion_that_ends_in_more_than_15_minutes_is_refused() {
    let issuer = Issuer::start().await;
    let options = ServerOptions::default().with("browserid-issuers", issuer.host());
    let server = Server::start(options).await;
    let mint = |seconds: u64| {
        issuer.mint("alice", &server.url(), |certificate, assertion| {
            certificate["exp"] = (now() + 3_600_000).into();
            assertion["exp"] = (now() + seconds * 1000).into();
        })
    };
    let post =
        |seconds: u64| server.call("POST", "/session").json(&json!({"assertion": mint(seconds)}));
    post(890).await.ok();
    post(1_000).await.assert_error(Errno::InvalidAssertion);
    let mut device = Socket::device(&server).await;
    device.send(json!({"assertion": mint(1_000), "status": "online"})).await;
    device.expect_error(Errno::InvalidAssertion).await;
}

#[tokio::test]
async fn an_expired_assertion_is_refused() {
    let issuer = Issuer::start().await;
    let server = super::server_of(&issuer).await;
    // The difference is larger than the tolerance for clocks.
    let past = now() - 70_000;
    for which in ["certificate", "assertion"] {
        let assertion = issuer.mint("alice", &server.url(), |certificate, assertion| {
            let claims = if which == "certificate" { certificate } else { assertion };
            claims["exp"] = past.into();
            claims["iat"] = (past - 1000).into();
        });
        let body = json!({"assertion": assertion});
        server.call("POST", "/session").json(&body).await.assert_error(Errno::InvalidAssertion);
    }
}

#[tokio::test]
async fn ending_a_device_over_rest_closes_its_socket_and_no_other() {
    let issuer = Issuer::start().await;
    let server = super::server_of(&issuer).await;
    let open = async |device: &str| {
        let mut socket = Socket::device(&server).await;
        let assertion = issuer.assertion("alice", &server.url());
        socket.send(json!({"assertion": assertion, "status": "online", "device": device})).await;
        socket.expect_ok().await;
        socket
    };
    let (mut phone, mut laptop) = (open("phone").await, open("laptop").await);
    let body = json!({"assertion": issuer.assertion("alice", &server.url()), "scope": "account"});
    let opened = server.call("POST", "/session").json(&body).await.ok();
    let token = opened["token"].as_str().unwrap();
    server.call("DELETE", "/devices/phone").bearer(token).await.ok();
    phone.expect_close(CloseCode::EndedByUser).await;
    laptop.expect_no_frame().await;
    server.call("DELETE", "/account").bearer(token).await.ok();
    laptop.expect_close(CloseCode::EndedByUser).await;
    server.call("GET", "/session").bearer(token).await.assert_error(Errno::SessionExpired);
}

#[tokio::test]
async fn a_socket_renewed_with_a_token_ends_with_the_session_of_the_token() {
    let server = Server::start_default().await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    let alice = server.sign_in("alice").await;
    device.send(json!({"token": alice.token, "status": "online"})).await;
    device.expect_ok().await;
    alice.call("DELETE", "/session").await.ok();
    device.expect_close(CloseCode::NotAuthorised).await;
}
