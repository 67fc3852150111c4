//! The end of sockets that were opened with a token.

use presence_protocol::{CloseCode, Errno};
use presence_tests::{ServerOptions, Socket};
use serde_json::json;

use super::issuer::{OidcIssuer, seconds};

fn until_the_end_of_the_token() -> ServerOptions {
    ServerOptions::default().with("session-ends-with-assertion", true)
}

#[tokio::test]
async fn a_socket_ends_with_its_token_if_the_operator_sets_that() {
    let issuer = OidcIssuer::start().await;
    let server = issuer.server(until_the_end_of_the_token()).await;
    let token = issuer.token(&json!({"exp": seconds() + 2}));
    let mut device = Socket::device(&server).await;
    device.send(json!({"assertion": token, "status": "online"})).await;
    device.receive_until(|frame| frame["result"] == "OK").await;
    device.expect_close(CloseCode::NotAuthorised).await;
}

#[tokio::test]
async fn a_fresh_token_on_the_same_socket_renews_it() {
    let issuer = OidcIssuer::start().await;
    let server = issuer.server(until_the_end_of_the_token()).await;
    let mut device = Socket::device(&server).await;
    let ends_at = seconds() + 5;
    let token = issuer.token(&json!({"exp": ends_at}));
    device.send(json!({"assertion": token, "status": "online"})).await;
    device.receive_until(|frame| frame["expires_in"].is_number()).await;
    let of_bob = issuer.token(&json!({"email": "bob@mail.example"}));
    device.send(json!({"assertion": of_bob, "status": "online", "id": "bob"})).await;
    let refused = device.receive_until(|frame| frame["id"] == "bob").await;
    assert_eq!(refused["errno"], Errno::EmailMismatch.number(), "{refused}");
    device
        .send(json!({"assertion": issuer.token(&json!({})), "status": "online", "id": "new"}))
        .await;
    let renewed = device.receive_until(|frame| frame["id"] == "new").await;
    assert_eq!(renewed["result"], "OK", "{renewed}");
    // The socket still works after the first token has expired.
    while seconds() <= ends_at + 1 {
        device.expect_no_frame().await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    device.report("unavailable").await;
}

#[tokio::test]
async fn erasing_the_account_ends_the_sockets_that_a_token_opened() {
    let issuer = OidcIssuer::start().await;
    let server = issuer.server(ServerOptions::default()).await;
    let mut device = Socket::device(&server).await;
    device.send(json!({"assertion": issuer.token(&json!({})), "status": "online"})).await;
    device.expect_ok().await;
    let body = json!({"assertion": issuer.token(&json!({})), "scope": "account"});
    let opened = server.call("POST", "/session").json(&body).await.ok();
    let token = opened["token"].as_str().unwrap();
    server.call("DELETE", "/account").bearer(token).await.ok();
    device.expect_close(CloseCode::EndedByUser).await;
}
