//! A password change ends earlier sessions and sockets.

use presence_protocol::{CloseCode, Errno};
use presence_tests::{Issuer, Server, Socket};
use serde_json::json;

use super::server_of;

fn mint(issuer: &Issuer, server: &Server, generation: u64) -> String {
    issuer.mint("alice", &server.url(), |certificate, _| {
        certificate["fxa-generation"] = generation.into();
    })
}

async fn open(server: &Server, device: &str, assertion: String) -> Socket {
    let mut socket = Socket::device(server).await;
    socket.send(json!({"assertion": assertion, "status": "online", "device": device})).await;
    socket.expect_ok().await;
    socket
}

async fn sign_in(server: &Server, assertion: String) -> String {
    let opened = server.call("POST", "/session").json(&json!({"assertion": assertion})).await.ok();
    opened["token"].as_str().unwrap().to_owned()
}

async fn open_by_token(server: &Server, device: &str, token: &str) -> Socket {
    let mut socket = Socket::device(server).await;
    socket.send(json!({"token": token, "status": "online", "device": device})).await;
    socket.expect_ok().await;
    socket
}

#[tokio::test]
async fn a_sign_in_after_a_password_change_ends_earlier_sessions_and_sockets() {
    let issuer = Issuer::start().await;
    let server = server_of(&issuer).await;
    let mut phone = open(&server, "phone", mint(&issuer, &server, 1)).await;
    let token = sign_in(&server, mint(&issuer, &server, 1)).await;
    let mut tablet = open_by_token(&server, "tablet", &token).await;
    let mut bobs_phone = Socket::device(&server).await;
    let bob = issuer.mint("bob", &server.url(), |certificate, _| {
        certificate["fxa-generation"] = 1.into();
    });
    bobs_phone.send(json!({"assertion": bob, "status": "online"})).await;
    bobs_phone.expect_ok().await;

    let mut laptop = open(&server, "laptop", mint(&issuer, &server, 2)).await;
    phone.expect_close(CloseCode::NotAuthorised).await;
    tablet.expect_close(CloseCode::NotAuthorised).await;
    server.call("GET", "/session").bearer(&token).await.assert_error(Errno::SessionExpired);
    laptop.expect_no_frame().await;
    bobs_phone.expect_no_frame().await;
}

#[tokio::test]
async fn a_new_session_after_a_password_change_ends_earlier_sessions_and_sockets() {
    let issuer = Issuer::start().await;
    let server = server_of(&issuer).await;
    let mut phone = open(&server, "phone", mint(&issuer, &server, 1)).await;
    let token = sign_in(&server, mint(&issuer, &server, 2)).await;
    phone.expect_close(CloseCode::NotAuthorised).await;
    server.call("GET", "/session").bearer(&token).await.ok();
}

#[tokio::test]
async fn an_assertion_from_before_a_password_change_is_refused_also_after_a_restart() {
    let issuer = Issuer::start().await;
    let mut server = server_of(&issuer).await;
    sign_in(&server, mint(&issuer, &server, 5)).await;
    sign_in(&server, mint(&issuer, &server, 5)).await;
    for _ in 0..2 {
        let body = json!({"assertion": mint(&issuer, &server, 4)});
        server.call("POST", "/session").json(&body).await.assert_error(Errno::InvalidAssertion);
        let mut device = Socket::device(&server).await;
        device.send(json!({"assertion": mint(&issuer, &server, 4), "status": "online"})).await;
        device.expect_error(Errno::InvalidAssertion).await;
        server.terminate().await;
        server.restart().await;
    }
    // An assertion of an issuer without generations is still accepted.
    sign_in(&server, issuer.assertion("alice", &server.url())).await;
}

#[tokio::test]
async fn a_socket_renewed_after_a_password_change_stays_open_and_the_others_are_closed() {
    let issuer = Issuer::start().await;
    let server = server_of(&issuer).await;
    let mut phone = open(&server, "phone", mint(&issuer, &server, 1)).await;
    let mut tablet = open(&server, "tablet", mint(&issuer, &server, 1)).await;
    phone.send(json!({"assertion": mint(&issuer, &server, 2), "status": "online"})).await;
    phone.expect_ok().await;
    tablet.expect_close(CloseCode::NotAuthorised).await;
    phone.expect_no_frame().await;
    // The socket has the new generation, and an older assertion does not renew it.
    phone.send(json!({"assertion": mint(&issuer, &server, 1), "status": "online"})).await;
    phone.expect_error(Errno::InvalidAssertion).await;
    open(&server, "laptop", mint(&issuer, &server, 3)).await;
    phone.expect_close(CloseCode::NotAuthorised).await;
}
