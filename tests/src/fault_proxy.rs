//! A TCP proxy between a test and the server that can stall, throttle, half close and cut
//! connections.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Server;

/// The behaviour of the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProxyMode {
    /// Forwards bytes in both directions.
    Forward,
    /// Forwards nothing and keeps the connections open, as if a phone had lost its network.
    Stall,
    /// Forwards a few bytes at a time with a delay, like a slow network.
    Throttle,
    /// Resets both connections (RST).
    Reset,
    /// Closes both connections (FIN), without a WebSocket close frame.
    HangUp,
    /// Closes the direction to the server, and still forwards bytes from the server.
    HalfClose,
}

/// The maximum number of bytes that a throttled proxy forwards at once.
const THROTTLED_BYTES: usize = 64;
/// The delay after each part on a throttled connection.
const THROTTLE_DELAY: Duration = Duration::from_millis(5);

/// A TCP proxy. A new mode applies to open connections. Later connections are forwarded, and only a
/// stall and a throttle apply to them too.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    upstream: Arc<Mutex<SocketAddr>>,
    mode: watch::Sender<ProxyMode>,
    connections: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

impl FaultProxy {
    /// Starts a proxy to a server.
    pub async fn to(server: &Server) -> Self {
        Self::to_address(server.address()).await
    }

    /// Starts a proxy to an address.
    pub async fn to_address(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let upstream = Arc::new(Mutex::new(upstream));
        let (mode, receiver) = watch::channel(ProxyMode::Forward);
        let connections = Arc::<AtomicUsize>::default();
        let mut task = JoinSet::new();
        task.spawn(accept(listener, Arc::clone(&upstream), receiver, Arc::clone(&connections)));
        Self { address, upstream, mode, connections, _task: task }
    }

    /// Returns the address for clients.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the number of connections that were opened through the proxy.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Forwards new connections to the current address of a server.
    pub fn forward_to(&self, server: &Server) {
        self.forward_to_address(server.address());
    }

    /// Forwards new connections to another address.
    pub fn forward_to_address(&self, address: SocketAddr) {
        *self.upstream.lock().unwrap() = address;
    }

    /// Forwards nothing until [`FaultProxy::resume_traffic`].
    pub fn stall(&self) {
        self.mode.send_replace(ProxyMode::Stall);
    }

    /// Forwards a few bytes at a time until [`FaultProxy::resume_traffic`].
    pub fn throttle(&self) {
        self.mode.send_replace(ProxyMode::Throttle);
    }

    /// Forwards bytes again after a stall or a throttle.
    pub fn resume_traffic(&self) {
        self.mode.send_replace(ProxyMode::Forward);
    }

    /// Resets all connections.
    pub fn reset(&self) {
        self.mode.send_replace(ProxyMode::Reset);
    }

    /// Closes all connections without a close frame.
    pub fn hang_up(&self) {
        self.mode.send_replace(ProxyMode::HangUp);
    }

    /// Closes the direction from clients to the server.
    pub fn half_close(&self) {
        self.mode.send_replace(ProxyMode::HalfClose);
    }
}

async fn accept(
    listener: TcpListener,
    upstream: Arc<Mutex<SocketAddr>>,
    mode: watch::Receiver<ProxyMode>,
    count: Arc<AtomicUsize>,
) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        count.fetch_add(1, Ordering::SeqCst);
        let upstream = *upstream.lock().unwrap();
        connections.spawn(forward(client, upstream, mode.clone()));
    }
}

async fn forward(
    mut client: TcpStream,
    upstream: SocketAddr,
    mut mode: watch::Receiver<ProxyMode>,
) {
    let Ok(mut server) = TcpStream::connect(upstream).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let first = *mode.borrow_and_update();
    let (mut stalled, mut throttled) = (first == ProxyMode::Stall, first == ProxyMode::Throttle);
    let (mut up, mut down) = (true, true);
    let (mut to_server, mut to_client) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    while up || down {
        tokio::select! {
            changed = mode.changed() => {
                let new_mode = *mode.borrow_and_update();
                match new_mode {
                    _ if changed.is_err() => return,
                    ProxyMode::Forward => (stalled, throttled) = (false, false),
                    ProxyMode::Stall => stalled = true,
                    ProxyMode::Throttle => (stalled, throttled) = (false, true),
                    ProxyMode::HangUp => return,
                    ProxyMode::Reset => {
                        let _ = (client.set_zero_linger(), server.set_zero_linger());
                        return;
                    }
                    ProxyMode::HalfClose => {
                        up = false;
                        let _ = server.shutdown().await;
                    }
                }
            }
            read = client.read(part(&mut to_server, throttled)), if up && !stalled => {
                up = copy(&to_server, read, &mut server).await;
            }
            read = server.read(part(&mut to_client, throttled)), if down && !stalled => {
                down = copy(&to_client, read, &mut client).await;
            }
        }
        if throttled {
            tokio::time::sleep(THROTTLE_DELAY).await;
        }
    }
}

fn part(buffer: &mut [u8], throttled: bool) -> &mut [u8] {
    let size = if throttled { THROTTLED_BYTES } else { buffer.len() };
    buffer.get_mut(..size).unwrap_or_default()
}

/// Forwards the bytes that were read, or the end of the stream. Returns false if this direction has
/// ended.
async fn copy(buffer: &[u8], read: std::io::Result<usize>, to: &mut TcpStream) -> bool {
    match read {
        Ok(bytes) if bytes > 0 => {
            to.write_all(buffer.get(..bytes).unwrap_or_default()).await.is_ok()
        }
        Ok(_) | Err(_) => {
            let _ = to.shutdown().await;
            false
        }
    }
}
