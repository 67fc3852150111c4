//! One scenario for each close code.

use futures_util::future::join_all;
use presence_protocol::CloseCode;
use presence_tests::{Server, ServerOptions, Socket, SocketRequest};
use serde_json::{Value, json};

use super::scenario::RegistryScenario;

#[tokio::test]
async fn every_close_code_can_be_reached_from_outside() {
    let scenario = RegistryScenario::new().await;
    join_all(CloseCode::ALL.iter().map(|code| reach(&scenario, *code))).await;
}

/// Causes a close code. Scenarios that would disturb others have a server of their own.
async fn reach(scenario: &RegistryScenario, code: CloseCode) {
    let mut socket = match code {
        CloseCode::Normal => normal_close(scenario).await,
        CloseCode::GoingAway => return stopped_by_signal("TERM", code).await,
        CloseCode::ProtocolError => frame_without_mask(scenario).await,
        CloseCode::Unsupported => binary_frame(scenario).await,
        CloseCode::InvalidUtf8 => invalid_utf8_frame(scenario).await,
        CloseCode::TooLarge => large_frame(scenario, json!({"x": "x".repeat(16 * 1024)})).await,
        CloseCode::Restart => return stopped_by_signal("USR2", code).await,
        CloseCode::TryAgainLater => return too_many_devices(code).await,
        CloseCode::Replaced => replaced_device(scenario).await,
        CloseCode::Silent => return silent_socket(code).await,
        CloseCode::NotAuthorised => wrong_key(scenario).await,
        CloseCode::ApplicationClosed => deactivated_application(scenario).await,
        CloseCode::EndedByUser => ended_device(scenario).await,
        CloseCode::TooSlowOrTooFast => throttled_device(scenario).await,
    };
    socket.expect_close(code).await;
}

async fn normal_close(scenario: &RegistryScenario) -> Socket {
    let mut device = scenario.device("closing").await;
    device.send_close(Some(1000)).await;
    device
}

async fn frame_without_mask(scenario: &RegistryScenario) -> Socket {
    let mut device = scenario.device("unmasked").await;
    device.send_bytes(&[0x81, 0x02, b'{', b'}']).await;
    device
}

async fn binary_frame(scenario: &RegistryScenario) -> Socket {
    let mut device = scenario.device("binary").await;
    device.send_binary(b"{}").await;
    device
}

async fn invalid_utf8_frame(scenario: &RegistryScenario) -> Socket {
    let mut device = scenario.device("bytes").await;
    // A text frame of one byte, masked with zeros.
    device.send_bytes(&[0x81, 0x81, 0, 0, 0, 0, 0xff]).await;
    device
}

async fn large_frame(scenario: &RegistryScenario, frame: Value) -> Socket {
    let mut device = scenario.device("large").await;
    device.send(frame).await;
    device
}

async fn replaced_device(scenario: &RegistryScenario) -> Socket {
    let older = scenario.device("replaced").await;
    let _newer = scenario.device("replaced").await;
    older
}

async fn wrong_key(scenario: &RegistryScenario) -> Socket {
    let mut socket =
        Socket::open(&scenario.server, SocketRequest::app(&scenario.application)).await;
    socket.send(json!({"action": "auth", "token": "x"})).await;
    socket
}

async fn deactivated_application(scenario: &RegistryScenario) -> Socket {
    let application = scenario.server.application_named(&scenario.alice, "Stopped").await;
    let (stream, _) = Socket::stream(&scenario.server, &application).await;
    application.deactivate().await;
    stream
}

async fn ended_device(scenario: &RegistryScenario) -> Socket {
    let device = scenario.device("ended").await;
    scenario.alice.call("DELETE", "/devices/ended").await.ok();
    device
}

async fn throttled_device(scenario: &RegistryScenario) -> Socket {
    let mut device = scenario.device("fast").await;
    device.send_all(vec![json!({"status": "online"}); 60]).await;
    device
}

async fn stopped_by_signal(signal: &str, code: CloseCode) {
    let server = Server::start_default().await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    server.signal(signal).await;
    device.expect_close(code).await;
}

async fn too_many_devices(code: CloseCode) {
    let scenario =
        RegistryScenario::with(ServerOptions::default().with("sockets-per-user", 1)).await;
    let _first = scenario.device("phone").await;
    let mut second = Socket::device(&scenario.server).await;
    second.send(scenario.hello("tablet").await).await;
    second.expect_close(code).await;
}

async fn silent_socket(code: CloseCode) {
    let server = Server::start(ServerOptions::default().with("hello-seconds", 0.2)).await;
    Socket::device(&server).await.expect_close(code).await;
}
