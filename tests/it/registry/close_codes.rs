//! One scenario a close code.

use futures_util::future::join_all;
use presence_protocol::CloseCode;
use presence_tests::{Server, ServerOptions, Socket, SocketRequest};
use serde_json::{Value, json};

use super::stage::Stage;

#[tokio::test]
async fn every_close_code_can_be_reached_from_outside() {
    let stage = Stage::plain().await;
    join_all(CloseCode::ALL.iter().map(|code| reach(&stage, *code))).await;
}

/// Scenarios that change what others need have a server of their own.
async fn reach(stage: &Stage, code: CloseCode) {
    let mut socket = match code {
        CloseCode::Normal => parting(stage).await,
        CloseCode::GoingAway => return stopped_by("TERM", code).await,
        CloseCode::Unsupported => sending_binary(stage).await,
        CloseCode::InvalidUtf8 => sending_bytes(stage).await,
        CloseCode::TooLarge => sending(stage, json!({"x": "x".repeat(16 * 1024)})).await,
        CloseCode::Restart => return stopped_by("USR2", code).await,
        CloseCode::TryAgainLater => return one_too_many(code).await,
        CloseCode::Replaced => replaced(stage).await,
        CloseCode::Silent => return silent(code).await,
        CloseCode::NotAuthorised => with_a_wrong_key(stage).await,
        CloseCode::ApplicationClosed => of_a_stopped_application(stage).await,
        CloseCode::EndedByUser => ended(stage).await,
        CloseCode::TooSlowOrTooFast => too_fast(stage).await,
    };
    socket.expect_close(code).await;
}

async fn parting(stage: &Stage) -> Socket {
    let mut device = stage.device("parting").await;
    device.send_close(Some(1000)).await;
    device
}

async fn sending_binary(stage: &Stage) -> Socket {
    let mut device = stage.device("binary").await;
    device.send_binary(b"{}").await;
    device
}

async fn sending_bytes(stage: &Stage) -> Socket {
    let mut device = stage.device("bytes").await;
    // A text frame of one byte, masked with zeros.
    device.send_bytes(&[0x81, 0x81, 0, 0, 0, 0, 0xff]).await;
    device
}

async fn sending(stage: &Stage, frame: Value) -> Socket {
    let mut device = stage.device("large").await;
    device.send(frame).await;
    device
}

async fn replaced(stage: &Stage) -> Socket {
    let older = stage.device("replaced").await;
    let _newer = stage.device("replaced").await;
    older
}

async fn with_a_wrong_key(stage: &Stage) -> Socket {
    let mut socket = Socket::open(&stage.server, SocketRequest::app(&stage.application)).await;
    socket.send(json!({"action": "auth", "token": "x"})).await;
    socket
}

async fn of_a_stopped_application(stage: &Stage) -> Socket {
    let application = stage.server.application_named(&stage.alice, "StoppedServer").await;
    let (stream, _) = Socket::stream(&stage.server, &application).await;
    application.deactivate().await;
    stream
}

async fn ended(stage: &Stage) -> Socket {
    let device = stage.device("ended").await;
    stage.alice.call("DELETE", "/devices/ended").await.ok();
    device
}

async fn too_fast(stage: &Stage) -> Socket {
    let mut device = stage.device("fast").await;
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
    let stage = Stage::set(ServerOptions::default().with("sockets-per-user", 1)).await;
    let _first = stage.device("phone").await;
    let mut second = Socket::device(&stage.server).await;
    second.send(stage.hello("tablet").await).await;
    second.expect_close(code).await;
}

async fn silent(code: CloseCode) {
    let server = Server::start(ServerOptions::default().with("hello-seconds", 0.2)).await;
    Socket::device(&server).await.expect_close(code).await;
}
