//! The way of a live notification from an AppService to a person's devices.

mod delivery;
mod queue;

use presence_protocol::Puid;
use presence_tests::{Application, Server, ServerOptions, Socket, SocketRequest};
use serde_json::{Value, json};

async fn server() -> Server {
    Server::start(lively()).await
}

fn lively() -> ServerOptions {
    ServerOptions::default().with("notify-burst", 1000).with("status-burst", 1000)
}

/// Sends one notification and gives its id.
async fn send(application: &Application, uid: Puid, message: &str) -> String {
    send_for(application, uid, message, 60).await
}

/// Sends one that waits for at most so many seconds.
async fn send_for(application: &Application, uid: Puid, message: &str, ttl: u32) -> String {
    let item = json!({"uid": uid, "message": message, "action": "", "ttl": ttl});
    let reply = application.notify(&json!([item])).await.ok();
    reply["results"][0]["id"].as_str().unwrap_or_else(|| panic!("refused: {reply}")).to_owned()
}

/// A device that acknowledges.
async fn acking(server: &Server, name: &str, device: &str) -> Socket {
    let hello = json!({"status": "online", "device": device, "acks": true});
    Socket::open_authenticated(server, SocketRequest::device(), name, hello).await
}

async fn acknowledge(device: &mut Socket, ids: &[&str]) {
    device.send(json!({"type": "ack", "ids": ids})).await;
    device.expect_ok().await;
}

/// A field of each notification of the next frame.
async fn heard(device: &mut Socket, field: &str) -> Vec<String> {
    let frame = device.receive().await;
    let list = frame["notifications"].as_array().unwrap_or_else(|| panic!("no list: {frame}"));
    list.iter().map(|item: &Value| item[field].as_str().unwrap().to_owned()).collect()
}
