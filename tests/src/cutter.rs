//! A wire between a test and the server that can be stalled, half closed and cut.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Server;

/// What the wire does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// Carries bytes both ways.
    Carry,
    /// Carries nothing, and ends nothing: as when a phone leaves the range.
    Stall,
    /// Resets both ends (RST).
    Reset,
    /// Ends both ends in TCP's good order (FIN), without any WebSocket's good-bye.
    HangUp,
    /// Tells the server that the client sends no more; still carries what the server says.
    HalfClose,
}

/// A TCP proxy. Orders reach the connections that are open; later ones are carried, but for a stall, which lasts.
#[derive(Debug)]
pub struct Cutter {
    address: SocketAddr,
    upstream: Arc<Mutex<SocketAddr>>,
    orders: watch::Sender<Order>,
    _task: JoinSet<()>,
}

impl Cutter {
    /// A wire to a server.
    pub async fn to(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let upstream = Arc::new(Mutex::new(server.address()));
        let (orders, heard) = watch::channel(Order::Carry);
        let mut task = JoinSet::new();
        task.spawn(accept(listener, Arc::clone(&upstream), heard));
        Self { address, upstream, orders, _task: task }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads new connections to where a server is now.
    pub fn lead_to(&self, server: &Server) {
        *self.upstream.lock().unwrap() = server.address();
    }

    /// Carries nothing until [`Cutter::carry`].
    pub fn stall(&self) {
        self.orders.send_replace(Order::Stall);
    }

    /// Carries on after a stall.
    pub fn carry(&self) {
        self.orders.send_replace(Order::Carry);
    }

    /// Resets all connections.
    pub fn reset(&self) {
        self.orders.send_replace(Order::Reset);
    }

    /// Ends all connections without a good-bye.
    pub fn hang_up(&self) {
        self.orders.send_replace(Order::HangUp);
    }

    /// Tells the server that clients send no more.
    pub fn half_close(&self) {
        self.orders.send_replace(Order::HalfClose);
    }
}

async fn accept(
    listener: TcpListener,
    upstream: Arc<Mutex<SocketAddr>>,
    orders: watch::Receiver<Order>,
) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let upstream = *upstream.lock().unwrap();
        connections.spawn(carry(client, upstream, orders.clone()));
    }
}

async fn carry(mut client: TcpStream, upstream: SocketAddr, mut orders: watch::Receiver<Order>) {
    let Ok(mut server) = TcpStream::connect(upstream).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let mut stalled = *orders.borrow_and_update() == Order::Stall;
    let (mut up, mut down) = (true, true);
    let (mut to_server, mut to_client) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    while up || down {
        tokio::select! {
            changed = orders.changed() => {
                let order = *orders.borrow_and_update();
                match order {
                    _ if changed.is_err() => return,
                    Order::Carry => stalled = false,
                    Order::Stall => stalled = true,
                    Order::HangUp => return,
                    Order::Reset => {
                        let _ = (client.set_zero_linger(), server.set_zero_linger());
                        return;
                    }
                    Order::HalfClose => {
                        up = false;
                        let _ = server.shutdown().await;
                    }
                }
            }
            read = client.read(&mut to_server), if up && !stalled => {
                up = pass(&to_server, read, &mut server).await;
            }
            read = server.read(&mut to_client), if down && !stalled => {
                down = pass(&to_client, read, &mut client).await;
            }
        }
    }
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
