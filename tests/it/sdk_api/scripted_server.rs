//! A scripted HTTP server: it answers each request as a test says.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

/// An action after a request has arrived.
pub(super) enum ScriptedAction {
    /// Sends these bytes, then waits for the next request.
    Respond(Vec<u8>),
    /// Sends these bytes once this number of other connections have a request too.
    RespondTogether(Arc<Barrier>, Vec<u8>),
    /// Sends a beginning, and then these bytes again and again.
    Flood(Vec<u8>, Vec<u8>),
    /// Sends these bytes, then nothing more.
    StopResponding(Vec<u8>),
    /// Closes the connection.
    Close,
}

/// Returns a response with a JSON body.
pub(super) fn json_response(status: &str, body: &str) -> Vec<u8> {
    response_with_header(status, "content-type: application/json", body)
}

/// Returns a response with this header.
pub(super) fn response_with_header(status: &str, header: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{header}\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

/// A listener on a loopback port. Dropping it ends it.
pub(super) struct ScriptedServer {
    address: SocketAddr,
    traffic: Arc<Mutex<RecordedTraffic>>,
    _task: JoinSet<()>,
}

#[derive(Default)]
struct RecordedTraffic {
    connections: usize,
    requests: Vec<String>,
    written: usize,
}

impl ScriptedServer {
    /// Starts a server that accepts these connections, each with its actions. A connection is
    /// closed after its last action; any further connection is closed at once.
    pub(super) async fn start(connections: impl IntoIterator<Item = Vec<ScriptedAction>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let traffic = Arc::new(Mutex::new(RecordedTraffic::default()));
        let mut task = JoinSet::new();
        task.spawn(accept(listener, connections.into_iter().collect(), Arc::clone(&traffic)));
        Self { address, traffic, _task: task }
    }

    /// Starts a server that sends one response to the first connection.
    pub(super) async fn answering(answer: Vec<u8>) -> Self {
        Self::start([vec![ScriptedAction::Respond(answer)]]).await
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the number of connections.
    pub(super) fn connections(&self) -> usize {
        self.traffic.lock().unwrap().connections
    }

    /// Returns the requests, complete.
    pub(super) fn requests(&self) -> Vec<String> {
        self.traffic.lock().unwrap().requests.clone()
    }

    /// Returns the number of bytes that the client accepted in a flood.
    pub(super) fn written(&self) -> usize {
        self.traffic.lock().unwrap().written
    }
}

async fn accept(
    listener: TcpListener,
    mut scripts: VecDeque<Vec<ScriptedAction>>,
    traffic: Arc<Mutex<RecordedTraffic>>,
) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        traffic.lock().unwrap().connections += 1;
        let script = scripts.pop_front().unwrap_or_default();
        connections.spawn(run_script(stream, script, Arc::clone(&traffic)));
    }
}

async fn run_script(
    mut stream: TcpStream,
    script: Vec<ScriptedAction>,
    traffic: Arc<Mutex<RecordedTraffic>>,
) {
    for action in script {
        let Some(request) = read(&mut stream).await else { return };
        traffic.lock().unwrap().requests.push(request);
        match action {
            ScriptedAction::Respond(bytes) => stream.write_all(&bytes).await.unwrap(),
            ScriptedAction::RespondTogether(barrier, bytes) => {
                barrier.wait().await;
                stream.write_all(&bytes).await.unwrap();
            }
            ScriptedAction::Flood(beginning, bytes) => {
                let mut next = beginning;
                while stream.write_all(&next).await.is_ok() {
                    traffic.lock().unwrap().written += next.len();
                    next.clone_from(&bytes);
                }
                return;
            }
            ScriptedAction::StopResponding(bytes) => {
                stream.write_all(&bytes).await.unwrap();
                // The client closes the connection at its limit.
                let _ = stream.read_u8().await;
                return;
            }
            ScriptedAction::Close => return,
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(request).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    Some(head + &String::from_utf8(body).unwrap())
}
