//! The delivery of notifications from an AppService to the devices of a user.

mod backlog;
mod delivery;
mod queue;

use presence_protocol::Puid;
use presence_tests::{Application, Server, ServerOptions, Socket, SocketRequest};
use serde_json::{Value, json};

async fn server() -> Server {
    Server::start(unlimited_rates()).await
}

fn unlimited_rates() -> ServerOptions {
    ServerOptions::default().with("notify-burst", 1000).with("status-burst", 1000)
}

/// Sends a notification with a `ttl` of a minute, and returns its id.
async fn send(application: &Application, uid: Puid, message: &str) -> String {
    send_for(application, uid, message, 60).await
}

/// Sends a notification with a `ttl` in seconds, and returns its id.
async fn send_for(application: &Application, uid: Puid, message: &str, ttl: u32) -> String {
    let item = json!({"uid": uid, "message": message, "action": "", "ttl": ttl});
    let reply = application.notify(&json!([item])).await.ok();
    reply["results"][0]["id"].as_str().unwrap_or_else(|| panic!("refused: {reply}")).to_owned()
}

/// Opens a socket of a device that acknowledges notifications.
async fn device_with_acks(server: &Server, name: &str, device: &str) -> Socket {
    let hello = json!({"status": "online", "device": device, "acks": true});
    Socket::open_authenticated(server, SocketRequest::device(), name, hello).await
}

async fn acknowledge(device: &mut Socket, ids: &[&str]) {
    device.send(json!({"type": "ack", "ids": ids})).await;
    device.expect_ok().await;
}

/// Returns a field of each notification of the next frame.
async fn receive_field(device: &mut Socket, field: &str) -> Vec<String> {
    let frame = device.receive().await;
    let list = frame["notifications"].as_array().unwrap_or_else(|| panic!("no list: {frame}"));
    list.iter().map(|item: &Value| item[field].as_str().unwrap().to_owned()).collect()
}

/// Returns the ids of at least this number of notifications, in order.
async fn receive_ids(device: &mut Socket, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    while ids.len() < count {
        ids.extend(receive_field(device, "id").await);
    }
    ids
}
