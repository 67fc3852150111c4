//! The events that close an AppService's socket.

use presence_protocol::{CloseCode, Errno};
use presence_tests::{Server, Socket, SocketRequest};
use serde_json::json;

#[tokio::test]
async fn deactivating_an_application_closes_its_sockets() {
    let server = Server::start_default().await;
    let (application, _, alice) = server.application_with("alice").await;
    let _device = Socket::device_of(&server, "alice", "phone", "online").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let mut plain = Socket::app(&server, &application, SocketRequest::app(&application)).await;
    plain.expect_status(alice, "online").await;
    application.deactivate().await;
    stream.expect_close(CloseCode::ApplicationClosed).await;
    plain.expect_close(CloseCode::ApplicationClosed).await;
    application.activate().await;
    let (_stream, snapshot) = Socket::stream(&server, &application).await;
    assert_eq!(snapshot["presence"][0]["status"], "online", "{snapshot}");
}

#[tokio::test]
async fn removing_an_application_closes_its_sockets() {
    let server = Server::start_default().await;
    let (application, alice, _) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    application.owner_call("DELETE", "").await.ok();
    stream.expect_close(CloseCode::ApplicationClosed).await;
    let mut again = Socket::open(&server, SocketRequest::app(&application)).await;
    again.send(json!({"action": "auth", "token": application.api_key})).await;
    again.expect_error(Errno::InvalidApiKey).await;
    again.expect_close(CloseCode::NotAuthorised).await;
    let grants = alice.call("GET", "/grants").await.ok();
    assert_eq!(grants["grants"], json!([]));
}

#[tokio::test]
async fn deleting_a_key_closes_only_the_sockets_of_that_key() {
    let server = Server::start_default().await;
    let (application, _, _) = server.application_with("alice").await;
    let (id, second_key) = application.make_key().await;
    let request = SocketRequest::app(&application).v1().bearer(&second_key);
    let mut second = Socket::open(&server, request).await;
    assert_eq!(second.receive().await["result"], "OK");
    let (mut first, _) = Socket::stream(&server, &application).await;
    application.owner_call("DELETE", &format!("/keys/{id}")).await.ok();
    second.expect_close(CloseCode::ApplicationClosed).await;
    first.expect_no_stream_frame().await;
    let request = SocketRequest::app(&application).bearer(&second_key);
    Socket::try_open(&server, request).await.unwrap_err().assert_error(Errno::InvalidApiKey);
}

#[tokio::test]
async fn a_changed_domain_deactivates_the_application_until_it_is_verified_again() {
    let server = Server::start_default().await;
    let (application, _, _) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let change = json!({"name": "Renamed"});
    application.owner_call("PATCH", "").json(&change).await.ok();
    stream.expect_no_stream_frame().await;
    let change = json!({"domain": "localhost:1"});
    let changed = application.owner_call("PATCH", "").json(&change).await.ok();
    assert_eq!(changed["state"], "registered", "{changed}");
    stream.expect_close(CloseCode::ApplicationClosed).await;
    application.owner_call("POST", "/activate").await.assert_error(Errno::DomainNotVerified);
}
