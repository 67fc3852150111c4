//! A server on loopback whose connections follow a script, and channels at it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

use crate::{
    AppId, AppServiceChannel, AppServiceEvents, AppServiceOptions, ConnectionState, Credential,
    CredentialError, CredentialProvider, CredentialReason, DeviceChannel, DeviceEvents,
    DeviceOptions, NotificationId, Timing,
};

/// The patience for what must happen.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);
/// The time after which a server with slow pongs answers a ping.
pub(super) const PONG_DELAY: Duration = Duration::from_millis(60);

/// The behaviour of one connection.
#[derive(Debug, Clone, Copy)]
pub(super) enum Script {
    /// Accepts the connection, and sends nothing.
    Hang,
    /// Accepts the socket, and sends nothing.
    HangAfterUpgrade,
    /// Accepts the socket and each frame, and answers pings.
    Serve,
    /// Accepts the first frame, and refuses each further one with a wait of this many seconds.
    Delay(f64),
    /// Accepts the first frame, refuses the next one with a wait of a millisecond, and closes.
    DelayThenClose,
    /// Accepts the first frame, tells that the session ends now, and closes after the next frame.
    ExpireThenClose,
    /// Accepts each frame, and sends two notifications after the first one.
    Notify,
    /// Accepts each frame, and answers pings after a while.
    SlowPongs,
    /// Accepts the first frame, answers one `notify`, and no further one.
    NotifyOnce,
    /// Refuses the first frame with this error number.
    Refuse(u16),
    /// Accepts the first frame, and reads nothing more.
    StopReading,
    /// Closes the connection.
    Close,
}

/// A listener whose connections follow the scripts, in order; the last one repeats.
pub(super) struct ScriptedServer {
    pub(super) address: SocketAddr,
    connections: watch::Receiver<usize>,
    pings: Arc<AtomicUsize>,
    frames: Frames,
    _tasks: JoinSet<()>,
}

impl ScriptedServer {
    pub(super) async fn start(scripts: Vec<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, connections) = watch::channel(0);
        let pings = Arc::<AtomicUsize>::default();
        let frames = Frames::default();
        let observed = Observed { pings: Arc::clone(&pings), frames: Arc::clone(&frames) };
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut served = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let script = scripts[(*sender.borrow()).min(scripts.len() - 1)];
                sender.send_modify(|count| *count += 1);
                served.spawn(follow(script, stream, observed.clone()));
            }
        });
        Self { address, connections, pings, frames, _tasks: tasks }
    }

    pub(super) fn connections(&self) -> usize {
        *self.connections.borrow()
    }

    /// Waits until there were so many connections.
    pub(super) async fn wait_for_connections(&mut self, count: usize) {
        let reached = self.connections.wait_for(|current| *current >= count);
        within(reached).await.unwrap();
    }

    /// Returns the text frames that have arrived.
    pub(super) fn frames(&self) -> Vec<String> {
        self.frames.lock().unwrap().clone()
    }

    /// Returns the number of pings.
    pub(super) fn pings(&self) -> usize {
        self.pings.load(Ordering::SeqCst)
    }

    pub(super) fn device(
        &self,
        change: impl FnOnce(&mut DeviceOptions),
    ) -> (DeviceChannel, DeviceEvents) {
        let server = format!("http://{}", self.address).parse().unwrap();
        let mut options = DeviceOptions::new(server, "phone".parse().unwrap());
        options.credential = Some(token("first"));
        options.timing = long_timing();
        change(&mut options);
        DeviceChannel::open(options).unwrap()
    }

    pub(super) fn back_end(&self) -> (AppServiceChannel, AppServiceEvents) {
        self.back_end_with(|_| ())
    }

    pub(super) fn back_end_with(
        &self,
        change: impl FnOnce(&mut AppServiceOptions),
    ) -> (AppServiceChannel, AppServiceEvents) {
        let server = format!("http://{}", self.address).parse().unwrap();
        let key = "key".to_owned().into();
        let mut options = AppServiceOptions::new(server, AppId::from_bits(1), key);
        options.timing = long_timing();
        change(&mut options);
        AppServiceChannel::open(options).unwrap()
    }
}

/// Returns time limits that are so long that only a hint can end a wait, except for short waits
/// after hints.
pub(super) fn long_timing() -> Timing {
    Timing {
        backoff_floor: Duration::from_millis(20),
        backoff_ceiling: Duration::from_hours(1),
        heartbeat: Duration::from_hours(1),
        connect_timeout: Duration::from_hours(1),
        request_timeout: Duration::from_hours(1),
        probe_timeout: Duration::from_hours(1),
        stable_after: Duration::from_hours(1),
    }
}

pub(super) fn token(text: &str) -> Credential {
    Credential::Token(text.to_owned().into())
}

/// Returns a provider of credentials that calls `answer` with its reason and the number of its
/// earlier calls, and the number of its calls.
pub(super) fn counted_provider(
    answer: impl Fn(CredentialReason, usize) -> Result<Credential, CredentialError>
    + Send
    + Sync
    + 'static,
) -> (Option<Arc<dyn CredentialProvider>>, Arc<AtomicUsize>) {
    let calls = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&calls);
    let provider = move |reason| {
        let answer = answer(reason, counted.fetch_add(1, Ordering::SeqCst));
        async { answer }
    };
    (Some(Arc::new(provider)), calls)
}

pub(super) fn is_connected(state: &ConnectionState) -> bool {
    *state == ConnectionState::Connected
}

/// Waits until the state of a device matches.
pub(super) async fn wait_for_state(
    channel: &DeviceChannel,
    matches: impl FnMut(&ConnectionState) -> bool + Send,
) {
    within(channel.watch_state().wait_for(matches)).await.expect("the channel ended");
}

/// Waits for what must happen.
pub(super) async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it should have happened long ago")
}

type Peer = WebSocketStream<TcpStream>;

/// The text frames that have arrived.
type Frames = Arc<Mutex<Vec<String>>>;

/// The pings and frames that the connections of a server have received.
#[derive(Clone)]
struct Observed {
    pings: Arc<AtomicUsize>,
    frames: Frames,
}

async fn follow(script: Script, mut stream: TcpStream, observed: Observed) {
    match script {
        Script::Close => return,
        Script::Hang => {
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            return;
        }
        Script::HangAfterUpgrade
        | Script::Serve
        | Script::Delay(_)
        | Script::DelayThenClose
        | Script::ExpireThenClose
        | Script::Notify
        | Script::SlowPongs
        | Script::NotifyOnce
        | Script::Refuse(_)
        | Script::StopReading => {}
    }
    let Ok(mut peer) = tokio_tungstenite::accept_hdr_async(stream, echo_subprotocol).await else {
        return;
    };
    let mut frames = 0;
    while let Some(Ok(message)) = peer.next().await {
        match message {
            Message::Ping(_) => {
                observed.pings.fetch_add(1, Ordering::SeqCst);
                if matches!(script, Script::SlowPongs) {
                    // The pong is sent with the next read.
                    tokio::time::sleep(PONG_DELAY).await;
                }
            }
            Message::Text(text) => {
                frames += 1;
                observed.frames.lock().unwrap().push(text.to_string());
                if reply(script, &mut peer, frames, &serde_json::from_str(&text).unwrap()).await {
                    std::future::pending::<()>().await;
                }
                if matches!(script, Script::DelayThenClose | Script::ExpireThenClose) && frames > 1
                {
                    return;
                }
            }
            Message::Binary(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {}
        }
    }
}

/// Replies to a frame. Returns true if nothing more is read.
async fn reply(script: Script, peer: &mut Peer, frames: usize, frame: &Value) -> bool {
    let ok = json!({"result": "OK", "id": frame["id"], "action": frame["action"]});
    let reply = match script {
        Script::Refuse(errno) => json!({"result": "KO", "errno": errno, "id": frame["id"]}),
        Script::Delay(seconds) if frames > 1 => {
            json!({"result": "KO", "errno": 20, "retry_after": seconds, "id": frame["id"]})
        }
        Script::DelayThenClose if frames > 1 => {
            json!({"result": "KO", "errno": 20, "retry_after": 0.001, "id": frame["id"]})
        }
        Script::NotifyOnce if frames == 2 => notified(frame),
        Script::NotifyOnce if frames > 2 => return false,
        Script::HangAfterUpgrade | Script::Hang | Script::Close => return false,
        Script::Serve
        | Script::Delay(_)
        | Script::DelayThenClose
        | Script::ExpireThenClose
        | Script::Notify
        | Script::SlowPongs
        | Script::NotifyOnce
        | Script::StopReading => ok,
    };
    let _ = peer.send(Message::text(reply.to_string())).await;
    if matches!(script, Script::Notify) && frames == 1 {
        let _ = peer.send(Message::text(two_notifications())).await;
    }
    if matches!(script, Script::ExpireThenClose) && frames == 1 {
        let _ = peer.send(Message::text(presence_protocol::device::expires_in(0))).await;
    }
    matches!(script, Script::StopReading)
}

fn two_notifications() -> String {
    let notification = |number: u128| {
        let (id, appid) = (NotificationId::from_bits(number), AppId::from_bits(1));
        json!({"source": "Chat", "application": "Chat", "domain": "chat.example",
            "message": "Hello", "action": "", "appid": appid, "id": id, "sent_at": 1})
    };
    json!({ "notifications": [notification(1), notification(2)] }).to_string()
}

fn notified(request: &Value) -> Value {
    let count = request["notifications"].as_array().unwrap().len();
    let queued = json!({"result": "OK", "id": "0".repeat(32), "queue_size": 1});
    let results = vec![queued; count];
    json!({"action": "notify", "result": "OK", "id": request["id"], "results": results})
}

#[expect(clippy::result_large_err, clippy::unnecessary_wraps, reason = "tungstenite asks for it")]
fn echo_subprotocol(
    request: &Request,
    mut response: Response,
) -> Result<Response, tokio_tungstenite::tungstenite::handshake::server::ErrorResponse> {
    if let Some(name) = request.headers().get("sec-websocket-protocol") {
        response.headers_mut().insert("sec-websocket-protocol", name.clone());
    }
    Ok(response)
}
