//! One scenario a close code.

use futures_util::future::join_all;
use presence_protocol::CloseCode;
use presence_tests::{Ended, Options, Socket, Way};
use serde_json::json;

use super::stage::Stage;

#[tokio::test]
async fn every_close_code_can_be_reached_from_outside() {
    join_all(CloseCode::ALL.iter().map(|code| reach(*code))).await;
}

async fn reach(code: CloseCode) {
    let stage = match code {
        CloseCode::Silent => Stage::set(Options::default().with("hello-seconds", 0.2)).await,
        CloseCode::TryAgainLater => {
            Stage::set(Options::default().with("sockets-per-user", 1)).await
        }
        _ => Stage::plain().await,
    };
    let Stage { server, application, alice, .. } = &stage;
    let mut socket = match code {
        CloseCode::Normal => {
            let mut device = stage.device("phone").await;
            device.say_good_bye(Some(1000)).await;
            device
        }
        CloseCode::GoingAway => {
            let device = stage.device("phone").await;
            server.signal("TERM").await;
            device
        }
        CloseCode::Unsupported => {
            let mut device = stage.device("phone").await;
            device.send_binary(b"{}").await;
            device
        }
        CloseCode::InvalidUtf8 => {
            let mut device = stage.device("phone").await;
            device.send_bytes(&[0x81, 0x81, 0, 0, 0, 0, 0xff]).await;
            device
        }
        CloseCode::TooLarge => {
            let mut device = stage.device("phone").await;
            device.send(json!({"status": "online", "x": "x".repeat(16 * 1024)})).await;
            device
        }
        CloseCode::Restart => {
            let device = stage.device("phone").await;
            server.signal("USR2").await;
            device
        }
        CloseCode::TryAgainLater => {
            let _first = stage.device("phone").await;
            let mut second = Socket::device(server).await;
            second.send(stage.hello("tablet").await).await;
            assert_eq!(second.ended().await, Ended::Closed(Some(code.number())));
            return;
        }
        CloseCode::Replaced => {
            let older = stage.device("phone").await;
            let _newer = stage.device("phone").await;
            older
        }
        CloseCode::Silent => Socket::device(server).await,
        CloseCode::NotAuthorised => {
            let way = Way::app(application);
            let mut socket = Socket::open(server, way).await;
            socket.send(json!({"action": "auth", "token": "x"})).await;
            socket
        }
        CloseCode::ApplicationClosed => {
            let (stream, _) = Socket::stream(server, application).await;
            application.deactivate().await;
            stream
        }
        CloseCode::EndedByUser => {
            let device = stage.device("phone").await;
            alice.call("DELETE", "/devices/phone").await.ok();
            device
        }
        CloseCode::TooSlowOrTooFast => {
            let mut device = stage.device("phone").await;
            device.send_all(vec![json!({"status": "online"}); 60]).await;
            device
        }
    };
    socket.is_closed_with(code).await;
}
