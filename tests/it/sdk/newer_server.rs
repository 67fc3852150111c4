//! A server that says more than this version of the SDK knows: nothing of it ends a channel.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use presence_client::{
    AppId, AppServiceChannel, AppServiceEvent, AppServiceEvents, AppServiceOptions,
    ConnectionState, Credential, Errno, Error, NewNotification, PresenceMap, Puid, QueryResult,
    ReceiptState, Status,
};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

use super::fixtures::{Phone, short_timing, within_limit};

const UID: &str = "00000000000000000000000000000001";

/// A socket of the scripted server.
struct Peer(WebSocketStream<TcpStream>);

impl Peer {
    async fn send(&mut self, frame: &str) {
        self.0.send(Message::text(frame)).await.unwrap();
    }

    async fn reply(&mut self, frame: Value) {
        self.send(&frame.to_string()).await;
    }

    /// Returns the next text frame; `None` after the end of the socket.
    async fn receive(&mut self) -> Option<Value> {
        loop {
            if let Message::Text(text) = self.0.next().await?.ok()? {
                return Some(serde_json::from_str(&text).unwrap());
            }
        }
    }

    /// Accepts the next frame of a device.
    async fn accept_frame(&mut self) -> Option<Value> {
        let frame = self.receive().await?;
        self.reply(json!({"result": "OK", "id": frame["id"], "new": []})).await;
        Some(frame)
    }
}

/// Serves every connection with a script.
async fn serve<Script>(script: fn(Peer) -> Script) -> (SocketAddr, JoinSet<()>)
where
    Script: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(async move {
                #[expect(clippy::result_large_err, reason = "tungstenite asks for this type")]
                let echo = |request: &Request, mut response: Response| {
                    if let Some(name) = request.headers().get("sec-websocket-protocol") {
                        let name = name.clone();
                        response.headers_mut().insert("sec-websocket-protocol", name);
                    }
                    Ok(response)
                };
                let Ok(socket) = tokio_tungstenite::accept_hdr_async(stream, echo).await else {
                    return;
                };
                script(Peer(socket)).await;
            });
        }
    });
    (address, task)
}

fn phone_at(address: SocketAddr) -> Phone {
    Phone::with(format!("http://{address}").parse().unwrap(), |options| {
        options.credential = Some(Credential::Token("token".to_owned().into()));
    })
}

/// A frame of a newer server.
const UNREADABLE: [&str; 6] = ["", " ", "<html>", "[]", "7", r#"{"result":"OK""#];
const UNKNOWN: [&str; 6] = [
    "{}",
    r#"{"weather":{"rain":true}}"#,
    r#"{"result":"PERHAPS"}"#,
    r#"{"expires_in":"soon"}"#,
    r#"{"notifications":[]}"#,
    r#"{"result":{"new":true},"errno":"x"}"#,
];

#[tokio::test]
async fn a_device_skips_every_frame_that_it_cannot_read() {
    async fn newer(mut peer: Peer) {
        for frame in UNREADABLE.iter().chain(&UNKNOWN) {
            peer.send(frame).await;
        }
        peer.accept_frame().await.unwrap();
        for frame in UNREADABLE.iter().chain(&UNKNOWN) {
            peer.send(frame).await;
        }
        let known = json!({
            "source": "Chat", "message": "Hello\u{202e}", "action": "new:link", "appid": UID,
            "id": UID, "sent_at": 1500.5, "new": {},
        });
        peer.reply(json!({"notifications": [{"id": "new"}, null, known]})).await;
        while peer.accept_frame().await.is_some() {}
    }
    let (address, _task) = serve(newer).await;
    let mut phone = phone_at(address);
    let notification = phone.next_notification().await;
    assert_eq!((&*notification.action, notification.sent_at.get()), ("new:link", 1500));
    phone.wait_until_confirmed().await;
    assert_eq!(phone.channel.state(), ConnectionState::Connected);
    assert_eq!(phone.channel.skipped(), 2 * UNREADABLE.len() as u64 + 2);
    // A status of a newer application is left to the server.
    phone.channel.set_status(Status::Unknown("asleep".to_owned()), None);
    phone.wait_until_confirmed().await;
}

#[tokio::test]
async fn an_unknown_error_of_a_status_is_reported_and_the_device_is_not_mute() {
    async fn newer(mut peer: Peer) {
        peer.accept_frame().await.unwrap();
        let Some(frame) = peer.receive().await else { return };
        let refusal = json!({"result": "KO", "errno": 77, "error": "Full moon", "id": frame["id"]});
        peer.reply(refusal).await;
        while peer.accept_frame().await.is_some() {}
    }
    let (address, _task) = serve(newer).await;
    let phone = phone_at(address);
    phone.wait_until_confirmed().await;
    phone.channel.set_status(Status::Unavailable, None);
    let refused = within_limit("the refusal", phone.channel.confirmed()).await.unwrap_err();
    assert_eq!((refused.errno(), refused.retryable()), (Some(Errno::Unknown(77)), false));
    assert_eq!(refused.to_string(), "Full moon");
    phone.channel.set_status(Status::Online, None);
    phone.wait_until_confirmed().await;
}

#[tokio::test]
async fn an_unknown_error_of_the_first_frame_is_retried_after_the_wait_that_it_names() {
    async fn newer(mut peer: Peer) {
        let Some(frame) = peer.receive().await else { return };
        let refusal = json!({
            "result": "KO", "errno": 77, "error": "Full moon", "retry_after": 3600, "id": frame["id"],
        });
        peer.reply(refusal).await;
        while peer.receive().await.is_some() {}
    }
    let (address, _task) = serve(newer).await;
    let mut phone = phone_at(address);
    let state =
        phone.wait_for_state(|state| matches!(state, ConnectionState::Waiting { .. })).await;
    let ConnectionState::Waiting { reason, retry_in } = state else { unreachable!() };
    assert!(reason.retryable() && reason.errno() == Some(Errno::Unknown(77)), "{reason:?}");
    assert!(retry_in >= std::time::Duration::from_hours(1), "{retry_in:?}");
}

/// Greets a back end with more than it knows, and answers its requests.
async fn newer_app_service(mut peer: Peer) {
    for frame in UNREADABLE.iter().chain(&UNKNOWN) {
        peer.send(frame).await;
    }
    peer.receive().await.unwrap();
    peer.reply(json!({"action": "auth", "result": "OK", "new": 1})).await;
    for frame in UNREADABLE.iter().chain(&UNKNOWN) {
        peer.send(frame).await;
    }
    peer.reply(json!({"snapshot": true, "presence": [{"new": 1}, asleep()], "cursor": "c"})).await;
    let receipt = |state: &str| json!({"id": UID, "uid": UID, "state": state});
    peer.reply(json!({"receipts": [receipt("read"), 7, receipt("acked")]})).await;
    while let Some(request) = peer.receive().await {
        peer.reply(newer_reply(&request)).await;
    }
}

fn asleep() -> Value {
    let long = "x".repeat(500);
    json!({"uid": UID, "status": "asleep", "version": 5, "since": 1500.5, "message": long})
}

fn newer_reply(request: &Value) -> Value {
    let id = &request["id"];
    let Some(items) = request["notifications"].as_array() else {
        let entries = json!([asleep(), {"uid": UID, "version": {}}]);
        return json!({"action": "query", "result": "OK", "id": id, "presence": entries});
    };
    if items.len() == 1 {
        return json!({"result": "KO", "errno": 77, "error": "Full moon", "id": id});
    }
    let refused = json!({"result": "KO", "errno": 77, "error": "Full moon"});
    let queued = json!({"result": "OK", "id": UID, "queue_size": 1});
    let results = json!([refused, "what", queued]);
    json!({"action": "notify", "result": "OK", "id": id, "results": results})
}

/// Opens a channel at the server of a script.
fn back_end_at(address: SocketAddr) -> (AppServiceChannel, AppServiceEvents) {
    let server = format!("http://{address}").parse().unwrap();
    let mut options = AppServiceOptions::new(server, AppId::from_bits(1), "k".to_owned().into());
    options.timing = short_timing();
    AppServiceChannel::open(options).unwrap()
}

#[tokio::test]
async fn a_back_end_skips_what_it_cannot_read_and_keeps_the_rest() {
    let (address, _task) = serve(newer_app_service).await;
    let (channel, mut events) = back_end_at(address);
    let mut map = PresenceMap::new();
    let receipts = loop {
        let event = within_limit("an event", events.next()).await.unwrap();
        map.apply(&event);
        if let AppServiceEvent::Receipts(receipts) = event {
            break receipts.receipts;
        }
    };
    let states: Vec<_> = receipts.into_iter().map(|receipt| receipt.state).collect();
    assert_eq!(states, [ReceiptState::Unknown("read".to_owned()), ReceiptState::Acked]);
    let uid: Puid = UID.parse().unwrap();
    assert_eq!(map.status(&uid), Status::Unknown("asleep".to_owned()));
    assert_eq!(map.get(&uid).unwrap().message.as_ref().map(String::len), Some(500));
    assert_eq!(channel.skipped(), 2 * UNREADABLE.len() as u64 + 2);
}

#[tokio::test]
async fn each_entry_of_a_reply_that_a_back_end_cannot_read_is_an_error_in_its_place() {
    let (address, _task) = serve(newer_app_service).await;
    let (channel, _events) = back_end_at(address);
    let uid: Puid = UID.parse().unwrap();
    let item = || NewNotification::new(uid, "Hello");
    let refused = channel.notify_one(item()).await.unwrap_err();
    assert!(matches!(&refused, Error::Refused(error) if error.errno == Errno::Unknown(77)));
    let results = channel.notify(vec![item(), item(), item()]).await.unwrap();
    let is_queued: Vec<_> = results.iter().map(Result::is_ok).collect();
    assert_eq!(is_queued, [false, false, true]);
    let found = channel.query(vec![uid, uid]).await.unwrap();
    let QueryResult::Known(presence) = &found[0] else { panic!("{found:?}") };
    assert_eq!(presence.status, Status::Unknown("asleep".to_owned()));
    assert!(matches!(&found[1], QueryResult::Refused { .. }), "{found:?}");
}
