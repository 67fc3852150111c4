//! The web server of an Application's domain, on a loopback port.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The path at which a domain publishes its key.
const PROOF: &str = "/__presence";

/// A loopback web server that serves fixed responses and records the requested paths. It stops when
/// it is dropped.
#[derive(Debug)]
pub struct DomainServer {
    address: SocketAddr,
    shared: Arc<DomainState>,
    _task: JoinSet<()>,
}

#[derive(Debug, Default)]
struct DomainState {
    /// Complete HTTP responses by path.
    answers: Mutex<HashMap<String, Vec<u8>>>,
    requested_paths: Mutex<Vec<String>>,
    /// True while responses are delayed.
    held: watch::Sender<bool>,
}

impl DomainServer {
    /// Starts a server without any page.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(DomainState::default());
        let mut task = JoinSet::new();
        task.spawn(serve(listener, Arc::clone(&shared)));
        Self { address, shared, _task: task }
    }

    /// Returns the domain with its port, as an Application registers it.
    pub fn name(&self) -> String {
        self.address.to_string()
    }

    /// Publishes a key at `/__presence`.
    pub fn publish_key(&self, key: &str) {
        self.answer(PROOF, "200 OK", &[], key.as_bytes());
    }

    /// Sets the response for a path.
    pub fn answer(&self, path: &str, status: &str, headers: &[(&str, &str)], body: &[u8]) {
        let lines: Vec<_> = headers
            .iter()
            .map(|(name, value)| {
                format!(
                    "{name}: {value}
"
                )
            })
            .collect();
        let headers = lines.concat();
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n"
        );
        let answer = [head.as_bytes(), body].concat();
        self.shared.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    /// Delays all responses until [`DomainServer::release`].
    pub fn hold(&self) {
        self.shared.held.send_replace(true);
    }

    /// Sends delayed responses, and responds at once again.
    pub fn release(&self) {
        self.shared.held.send_replace(false);
    }

    /// Returns the requested paths, in order.
    pub fn requested_paths(&self) -> Vec<String> {
        self.shared.requested_paths.lock().unwrap().clone()
    }
}

async fn serve(listener: TcpListener, shared: Arc<DomainState>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(answer(stream, Arc::clone(&shared)));
    }
}

/// Returns the length of the body that follows.
fn length_in(head: &str) -> usize {
    let mut headers = head.lines().filter_map(|line| line.split_once(':'));
    let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length.and_then(|(_, length)| length.trim().parse().ok()).unwrap_or_default()
}

async fn answer(mut stream: TcpStream, shared: Arc<DomainState>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    // The body is read too, because a connection that closes with unread data resets the response.
    let mut body = vec![0; length_in(&head)];
    if stream.read_exact(&mut body).await.is_err() {
        return;
    }
    let answer = {
        let answers = shared.answers.lock().unwrap();
        // A response for a path without a query is used for all queries.
        let plain = path.split('?').next().unwrap_or_default();
        answers.get(&path).or_else(|| answers.get(plain)).cloned()
    };
    shared.requested_paths.lock().unwrap().push(path);
    if shared.held.subscribe().wait_for(|held| !held).await.is_err() {
        return;
    }
    let missing = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let answer = answer.unwrap_or_else(|| missing.to_vec());
    // The client may have closed the connection.
    let _ = stream.write_all(&answer).await;
    let _ = stream.shutdown().await;
}
