//! One scenario a close code.

use futures_util::future::join_all;
use presence_protocol::CloseCode;
use presence_tests::{Server, ServerOptions, Socket, SocketRequest};
use serde_json::{Value, json};

use super::scenario::RegistryScenario;

#[tokio::test]
async fn every_close_code_can_be_reached_from_outside() {
    let scenario = RegistryScenario::plain().await;
    join_all(CloseCode::ALL.iter().map(|code| reach(&scenario, *code))).await;
}

/// Scenarios that change what others need have a server of their own.
async fn reach(scenario: &RegistryScenario, code: CloseCode) {
    let mut socket = match code {
        CloseCode::Normal => parting(scenario).await,
        CloseCode::GoingAway => return stopped_by("TERM", code).await,
        CloseCode::Unsupported => sending_binary(scenario).await,
        CloseCode::InvalidUtf8 => sending_bytes(scenario).await,
        CloseCode::TooLarge => sending(scenario, json!({"x": "x".repeat(16 * 1024)})).await,
        CloseCode::Restart => return stopped_by("USR2", code).await,
        CloseCode::TryAgainLater => return one_too_many(code).await,
        CloseCode::Replaced => replaced(scenario).await,
        CloseCode::Silent => return silent(code).await,
        CloseCode::NotAuthorised => with_a_wrong_key(scenario).await,
        CloseCode::ApplicationClosed => of_a_stopped_application(scenario).await,
        CloseCode::EndedByUser => ended(scenario).await,
        CloseCode::TooSlowOrTooFast => too_fast(scenario).await,
    };
    socket.expect_close(code).await;
}

async fn parting(scenario: &RegistryScenario) -> Socket {
    let mut device = scenario.device("parting").await;
    device.send_close(Some(1000)).await;
    device
}

async fn sending_binary(scenario: &RegistryScenario) -> Socket {
    let mut device = scenario.device("binary").await;
    device.send_binary(b"{}").await;
    device
}

async fn sending_bytes(scenario: &RegistryScenario) -> Socket {
    let mut device = scenario.device("bytes").await;
    // A text frame of one byte, masked with zeros.
    device.send_bytes(&[0x81, 0x81, 0, 0, 0, 0, 0xff]).await;
    device
}

async fn sending(scenario: &RegistryScenario, frame: Value) -> Socket {
    let mut device = scenario.device("large").await;
    device.send(frame).await;
    device
}

async fn replaced(scenario: &RegistryScenario) -> Socket {
    let older = scenario.device("replaced").await;
    let _newer = scenario.device("replaced").await;
    older
}

async fn with_a_wrong_key(scenario: &RegistryScenario) -> Socket {
    let mut socket =
        Socket::open(&scenario.server, SocketRequest::app(&scenario.application)).await;
    socket.send(json!({"action": "auth", "token": "x"})).await;
    socket
}

async fn of_a_stopped_application(scenario: &RegistryScenario) -> Socket {
    let application = scenario.server.application_named(&scenario.alice, "StoppedServer").await;
    let (stream, _) = Socket::stream(&scenario.server, &application).await;
    application.deactivate().await;
    stream
}

async fn ended(scenario: &RegistryScenario) -> Socket {
    let device = scenario.device("ended").await;
    scenario.alice.call("DELETE", "/devices/ended").await.ok();
    device
}

async fn too_fast(scenario: &RegistryScenario) -> Socket {
    let mut device = scenario.device("fast").await;
    device.send_all(vec![json!({"status": "online"}); 60]).await;
    device
}

async fn stopped_by(signal: &str, code: CloseCode) {
    let server = Server::quick().await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    server.signal(signal).await;
    device.expect_close(code).await;
}

async fn one_too_many(code: CloseCode) {
    let scenario =
        RegistryScenario::set(ServerOptions::default().with("sockets-per-user", 1)).await;
    let _first = scenario.device("phone").await;
    let mut second = Socket::device(&scenario.server).await;
    second.send(scenario.hello("tablet").await).await;
    second.expect_close(code).await;
}

async fn silent(code: CloseCode) {
    let server = Server::start(ServerOptions::default().with("hello-seconds", 0.2)).await;
    Socket::device(&server).await.expect_close(code).await;
}
