//! The rate of the SDK's connection attempts: there is never a busy loop, for any server and any
//! hint.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use presence_client::{
    AppId, AppServiceChannel, AppServiceEvent, AppServiceOptions, ConnectionState, Credential,
    DeviceEvent,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::fixtures::{Phone, short_timing, within_limit};

/// A listener in place of the server that records the connection attempts.
struct AttemptRecorder {
    address: SocketAddr,
    attempts: Arc<Mutex<Vec<Instant>>>,
    _task: JoinSet<()>,
}

impl AttemptRecorder {
    async fn answering<Answer>(answers: fn(TcpStream) -> Answer) -> Self
    where
        Answer: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let attempts = Arc::<Mutex<Vec<Instant>>>::default();
        let recorded = Arc::clone(&attempts);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                recorded.lock().unwrap().push(Instant::now());
                stream.set_nodelay(true).unwrap();
                connections.spawn(answers(stream));
            }
        });
        Self { address, attempts, _task: task }
    }

    fn attempts(&self) -> Vec<Instant> {
        self.attempts.lock().unwrap().clone()
    }

    fn phone(&self, change: impl FnOnce(&mut presence_client::DeviceOptions)) -> Phone {
        let url = format!("http://{}", self.address);
        Phone::with(url.parse().unwrap(), |options| {
            options.credential = Some(Credential::Token("t".to_owned().into()));
            change(options);
        })
    }
}

async fn closes_at_once(stream: TcpStream) {
    drop(stream);
}

/// Reads the first frame, answers OK, and closes as not authorised.
async fn accepts_then_closes(stream: TcpStream) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    let Some(Ok(Message::Text(first_frame))) = socket.next().await else { return };
    let first_frame: serde_json::Value = serde_json::from_str(&first_frame).unwrap();
    let ok = serde_json::json!({"result": "OK", "id": first_frame["id"]});
    let _ = socket.send(Message::text(ok.to_string())).await;
    let frame = CloseFrame { code: 4003.into(), reason: "".into() };
    let _ = socket.close(Some(frame)).await;
    while let Some(Ok(_)) = socket.next().await {}
}

async fn refuses(stream: TcpStream) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    let _ = socket.next().await;
    let refusal = r#"{"result":"KO","errno":34,"error":"Invalid assertion","id":1}"#;
    let _ = socket.send(Message::text(refusal)).await;
    while let Some(Ok(_)) = socket.next().await {}
}

#[tokio::test]
async fn the_time_between_two_attempts_is_at_least_the_announced_wait() {
    let host = AttemptRecorder::answering(closes_at_once).await;
    let mut phone = host.phone(|_| ());
    let mut waits = Vec::new();
    while waits.len() < 12 {
        let Some(DeviceEvent::State(state)) = phone.receive().await else { panic!("no state") };
        if let ConnectionState::Waiting { retry_in, .. } = state {
            assert!(retry_in <= short_timing().backoff_ceiling);
            waits.push(retry_in);
        }
    }
    let attempts = host.attempts();
    assert!(attempts.len() <= waits.len() + 1, "{} attempts", attempts.len());
    for (pair, wait) in attempts.windows(2).zip(&waits) {
        // An announced wait begins with the loss, which came after the connection attempt.
        assert!(pair[1] - pair[0] + Duration::from_millis(2) >= *wait, "{pair:?} {wait:?}");
    }
}

#[tokio::test]
async fn any_number_of_hints_causes_no_busy_loop() {
    let host = AttemptRecorder::answering(closes_at_once).await;
    let phone = host.phone(|options| {
        options.timing.backoff_floor = Duration::from_millis(400);
        options.timing.backoff_ceiling = Duration::from_millis(400);
    });
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        phone.channel.network_changed();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // The delay between two attempts is a random part of 0.4 s: about 15 attempts in 2 s, and
    // almost never 60.
    assert!(host.attempts().len() < 60, "{} attempts", host.attempts().len());
    assert!(host.attempts().len() > 1);
}

#[tokio::test]
async fn a_refused_credential_is_used_once() {
    let host = AttemptRecorder::answering(refuses).await;
    let mut phone = host.phone(|_| ());
    phone.wait_for_state(|state| matches!(state, ConnectionState::SignedOut(_))).await;
    for _ in 0..20 {
        phone.channel.network_changed();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(host.attempts().len(), 1);
}

#[tokio::test]
async fn a_refused_key_is_used_once() {
    async fn refuses(stream: TcpStream) {
        let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, AcceptSubprotocol).await
        else {
            return;
        };
        let _ = socket.next().await;
        let refusal = r#"{"result":"KO","errno":41,"error":"Invalid API key"}"#;
        let _ = socket.send(Message::text(refusal)).await;
        while let Some(Ok(_)) = socket.next().await {}
    }
    let host = AttemptRecorder::answering(refuses).await;
    let server = format!("http://{}", host.address).parse().unwrap();
    let key = "key".to_owned().into();
    let mut options = AppServiceOptions::new(server, AppId::from_bits(1), key);
    options.timing = short_timing();
    let (channel, mut events) = AppServiceChannel::open(options).unwrap();
    loop {
        let event = within_limit("an event", events.next()).await;
        if let Some(AppServiceEvent::State(ConnectionState::SignedOut(_))) = event {
            break;
        }
    }
    for _ in 0..20 {
        channel.network_changed();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(host.attempts().len(), 1);
}

/// A handshake callback that accepts the requested subprotocol.
struct AcceptSubprotocol;

impl tokio_tungstenite::tungstenite::handshake::server::Callback for AcceptSubprotocol {
    fn on_request(
        self,
        _: &tokio_tungstenite::tungstenite::handshake::server::Request,
        mut response: tokio_tungstenite::tungstenite::handshake::server::Response,
    ) -> Result<
        tokio_tungstenite::tungstenite::handshake::server::Response,
        tokio_tungstenite::tungstenite::handshake::server::ErrorResponse,
    > {
        let value = tokio_tungstenite::tungstenite::http::HeaderValue::from_static("presence.v1");
        response.headers_mut().insert("sec-websocket-protocol", value);
        Ok(response)
    }
}

#[tokio::test]
async fn a_server_that_accepts_and_then_closes_causes_no_busy_loop() {
    let host = AttemptRecorder::answering(accepts_then_closes).await;
    let phone = host.phone(|options| {
        options.timing.backoff_floor = Duration::from_millis(400);
        options.timing.backoff_ceiling = Duration::from_millis(400);
        let source = |_| async { Ok(Credential::Token("fresh".to_owned().into())) };
        options.credential_provider = Some(Arc::new(source));
    });
    tokio::time::sleep(Duration::from_secs(2)).await;
    let attempts = host.attempts().len();
    assert!((2..60).contains(&attempts), "{attempts} attempts");
    drop(phone);
}
