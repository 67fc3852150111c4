//! A wire between a test and the server that can be stalled, half closed and cut.

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
    /// Carries bytes both ways.
    Carry,
    /// Carries nothing, and ends nothing: as when a phone leaves the range.
    Stall,
    /// Carries a few bytes at a time, late: as at the edge of a network.
    Throttle,
    /// Resets both ends (RST).
    Reset,
    /// Ends both ends in TCP's good order (FIN), without any WebSocket's good-bye.
    HangUp,
    /// Tells the server that the client sends no more; still carries what the server says.
    HalfClose,
}

/// The number of bytes that a throttled proxy carries at once.
const A_FEW_BYTES: usize = 64;
/// The delay for each part of a throttled connection.
const A_MOMENT: Duration = Duration::from_millis(5);

/// A TCP proxy. Orders reach the connections that are open; later ones are carried, but for a stall
/// and a throttle, which last.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    upstream: Arc<Mutex<SocketAddr>>,
    orders: watch::Sender<ProxyMode>,
    connections: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

impl FaultProxy {
    /// A wire to a server.
    pub async fn to(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let upstream = Arc::new(Mutex::new(server.address()));
        let (orders, heard) = watch::channel(ProxyMode::Carry);
        let connections = Arc::<AtomicUsize>::default();
        let mut task = JoinSet::new();
        task.spawn(accept(listener, Arc::clone(&upstream), heard, Arc::clone(&connections)));
        Self { address, upstream, orders, connections, _task: task }
    }

    /// Returns the address for clients.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the number of connections opened through it so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Leads new connections to where a server is now.
    pub fn forward_to(&self, server: &Server) {
        *self.upstream.lock().unwrap() = server.address();
    }

    /// Carries nothing until [`FaultProxy::carry`].
    pub fn stall(&self) {
        self.orders.send_replace(ProxyMode::Stall);
    }

    /// Carries a few bytes at a time until [`FaultProxy::carry`].
    pub fn throttle(&self) {
        self.orders.send_replace(ProxyMode::Throttle);
    }

    /// Carries on after a stall or a throttle.
    pub fn carry(&self) {
        self.orders.send_replace(ProxyMode::Carry);
    }

    /// Resets all connections.
    pub fn reset(&self) {
        self.orders.send_replace(ProxyMode::Reset);
    }

    /// Ends all connections without a good-bye.
    pub fn hang_up(&self) {
        self.orders.send_replace(ProxyMode::HangUp);
    }

    /// Tells the server that clients send no more.
    pub fn half_close(&self) {
        self.orders.send_replace(ProxyMode::HalfClose);
    }
}

async fn accept(
    listener: TcpListener,
    upstream: Arc<Mutex<SocketAddr>>,
    orders: watch::Receiver<ProxyMode>,
    count: Arc<AtomicUsize>,
) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        count.fetch_add(1, Ordering::SeqCst);
        let upstream = *upstream.lock().unwrap();
        connections.spawn(carry(client, upstream, orders.clone()));
    }
}

async fn carry(
    mut client: TcpStream,
    upstream: SocketAddr,
    mut orders: watch::Receiver<ProxyMode>,
) {
    let Ok(mut server) = TcpStream::connect(upstream).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let first = *orders.borrow_and_update();
    let (mut stalled, mut throttled) = (first == ProxyMode::Stall, first == ProxyMode::Throttle);
    let (mut up, mut down) = (true, true);
    let (mut to_server, mut to_client) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    while up || down {
        tokio::select! {
            changed = orders.changed() => {
                let order = *orders.borrow_and_update();
                match order {
                    _ if changed.is_err() => return,
                    ProxyMode::Carry => (stalled, throttled) = (false, false),
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
                up = pass(&to_server, read, &mut server).await;
            }
            read = server.read(part(&mut to_client, throttled)), if down && !stalled => {
                down = pass(&to_client, read, &mut client).await;
            }
        }
        if throttled {
            tokio::time::sleep(A_MOMENT).await;
        }
    }
}

fn part(buffer: &mut [u8], throttled: bool) -> &mut [u8] {
    let size = if throttled { A_FEW_BYTES } else { buffer.len() };
    buffer.get_mut(..size).unwrap_or_default()
}

/// Passes on what was read; at its end, says so. False where this direction is over.
async fn pass(buffer: &[u8], read: std::io::Result<usize>, to: &mut TcpStream) -> bool {
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
