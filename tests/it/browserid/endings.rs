//! The lifetime of sessions and sockets that an assertion opened.

use presence_protocol::{CloseCode, Errno};
use presence_tests::{Issuer, Server, ServerOptions, Socket, now};
use serde_json::{Value, json};

/// A server on which a socket goes with the assertion that opened it.
async fn strict(issuer: &Issuer) -> Server {
    let options = ServerOptions::default().with("browserid-issuers", issuer.host());
    let options = options.with("session-ends-with-assertion", true).with("status-burst", 100);
    Server::start(options).await
}

#[tokio::test]
async fn a_socket_ends_with_whichever_of_certificate_and_assertion_is_over_first() {
    let issuer = Issuer::start().await;
    let server = strict(&issuer).await;
    let sooner = |claims: &mut Value| claims["exp"] = (now() + 30_000).into();
    for which in ["certificate", "assertion"] {
        let assertion = issuer.mint("alice", &server.url(), |certificate, assertion| {
            sooner(if which == "certificate" { certificate } else { assertion });
        });
        let mut device = Socket::device(&server).await;
        device.send(json!({"assertion": assertion, "status": "online"})).await;
        device.expect_ok().await;
        // Told at once, since less than a minute is left.
        let left = device.receive().await["expires_in"].as_u64().unwrap();
        assert!((1..=30).contains(&left), "{which}: {left}");
    }
}

#[tokio::test]
async fn a_fresh_assertion_renews_a_socket_of_the_same_user_until_its_own_end() {
    let issuer = Issuer::start().await;
    let server = strict(&issuer).await;
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
    // A shorter one counts too: it is what holds the socket open from now on.
    device.send(hello(mint(40))).await;
    device.expect_ok().await;
    let left = device.receive().await["expires_in"].as_u64().unwrap();
    assert!(left <= 40, "{left}");
    let of_bob = issuer.assertion("bob", &server.url());
    device.send(hello(of_bob)).await;
    device.expect_error(Errno::EmailMismatch).await;
}

#[tokio::test]
async fn an_assertion_that_is_over_opens_nothing() {
    let issuer = Issuer::start().await;
    let server = super::server_of(&issuer).await;
    // Beyond what clocks may differ.
    let past = now() - 70_000;
    for which in ["certificate", "assertion"] {
        let assertion = issuer.mint("alice", &server.url(), |certificate, assertion| {
            let claims = if which == "certificate" { certificate } else { assertion };
            claims["exp"] = past.into();
            claims["iat"] = (past - 1000).into();
        });
        let wish = json!({"assertion": assertion});
        server.call("POST", "/session").json(&wish).await.assert_error(Errno::InvalidAssertion);
    }
}

#[tokio::test]
async fn a_device_that_is_ended_elsewhere_is_closed_while_the_other_goes_on() {
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
    let wish = json!({"assertion": issuer.assertion("alice", &server.url()), "scope": "account"});
    let opened = server.call("POST", "/session").json(&wish).await.ok();
    let token = opened["token"].as_str().unwrap();
    server.call("DELETE", "/devices/phone").bearer(token).await.ok();
    phone.expect_close(CloseCode::EndedByUser).await;
    laptop.expect_no_frame().await;
    server.call("DELETE", "/account").bearer(token).await.ok();
    laptop.expect_close(CloseCode::EndedByUser).await;
    server.call("GET", "/session").bearer(token).await.assert_error(Errno::SessionExpired);
}

#[tokio::test]
async fn a_socket_that_was_renewed_with_a_token_ends_with_that_session() {
    let server = Server::quick().await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    let alice = server.sign_in("alice").await;
    device.send(json!({"token": alice.token, "status": "online"})).await;
    device.expect_ok().await;
    alice.call("DELETE", "/session").await.ok();
    device.expect_close(CloseCode::NotAuthorised).await;
}
