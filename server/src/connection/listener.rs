//! Accepts connections, without Nagle's delay, and pauses while the file limit is reached.

use std::io::{Error, Result};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use presence_core::LogLimit;
#[cfg(target_os = "linux")]
use socket2::SockRef;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use super::deadline::{ConnectionTimeouts, DeadlineStream};
use super::open_connections::{HttpConnection, OpenConnections};
use super::transport::Transport;
use crate::client_address::TrustedProxies;
use crate::client_proof::{ClientProof, UnprovenConnections};
use crate::meter;
use crate::socket::registry::SocketRegistry;
use crate::tls::Tls;

/// The maximum number of connections that wait to be accepted.
const BACKLOG: i32 = 4096;
/// The pause after an error of `accept`. An immediate retry would fail again, for example at the
/// limit of open files.
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// Binds an address.
///
/// # Errors
///
/// An error of the operating system.
pub(crate) fn bind(address: SocketAddr) -> Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// The number of bytes that the system takes from a connection before they can be sent. A larger
/// number would hide for a long time that a slow peer reads.
#[cfg(target_os = "linux")]
const UNSENT_BYTES: u32 = 64 * 1024;

/// The limits of accepted connections, which all listeners share.
#[derive(Clone)]
pub(crate) struct ConnectionLimits {
    /// The connections whose clients have proven nothing.
    pub(crate) unproven: Arc<UnprovenConnections>,
    /// The connections that are no WebSocket.
    pub(crate) open: Arc<OpenConnections>,
    /// The proxies, whose connections belong to no client.
    pub(crate) proxies: TrustedProxies,
}

/// A listener whose connections have deadlines and, if there is a certificate, use TLS.
pub(crate) struct ConnectionListener {
    listener: TcpListener,
    address: SocketAddr,
    sockets: Arc<SocketRegistry>,
    timeouts: ConnectionTimeouts,
    limits: ConnectionLimits,
    tls: Option<Arc<Tls>>,
    failures: Mutex<LogLimit>,
}

/// A connection with its addresses.
pub(crate) struct AcceptedConnection {
    pub(super) stream: DeadlineStream,
    pub(super) local: LocalAddr,
    pub(super) remote: RemoteAddr,
    pub(super) scheme: Scheme,
    pub(super) activity: Arc<HttpConnection>,
    /// The proof of the client, unless the peer is a proxy.
    pub(super) proof: Option<Arc<ClientProof>>,
}

impl ConnectionListener {
    /// Wraps a bound listener.
    ///
    /// # Errors
    ///
    /// An error of the operating system, if it cannot report the listener's address.
    pub(crate) fn new(
        listener: TcpListener,
        sockets: Arc<SocketRegistry>,
        (timeouts, limits): (ConnectionTimeouts, ConnectionLimits),
        tls: Option<Arc<Tls>>,
    ) -> Result<Self> {
        let (address, failures) = (listener.local_addr()?, Mutex::default());
        Ok(Self { listener, address, sockets, timeouts, limits, tls, failures })
    }

    /// Waits for the next connection. Cancel-safe: a dropped call loses no connection.
    pub(crate) async fn accept(&self) -> AcceptedConnection {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    if let Some(accepted) = self.admit(stream, peer) {
                        return accepted;
                    }
                }
                Err(error) => {
                    self.limits.open.close_idle();
                    self.report(&error);
                    tokio::time::sleep(RETRY_DELAY).await;
                }
            }
        }
    }

    /// Counts and logs an error of `accept`.
    fn report(&self, error: &Error) {
        meter::count_accept_failure();
        let now = self.sockets.service.steady();
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = failures.count(now) {
            tracing::warn!(%error, count, "connections could not be accepted");
        }
    }

    /// Adds a connection to those that are open. Returns `None` if its address has so many that it
    /// gets no answer.
    fn admit(&self, stream: TcpStream, peer: SocketAddr) -> Option<AcceptedConnection> {
        let ConnectionLimits { unproven, open, proxies } = &self.limits;
        let address = peer.ip().to_canonical();
        let is_proxy = proxies.contains(address);
        if !is_proxy && unproven.is_flooding(address) {
            return None;
        }
        open.make_room(self.sockets.count());
        let proof = (!is_proxy).then(|| unproven.add(address));
        let activity = open.add(proof.clone(), self.sockets.service.steady());
        set_options(&stream);
        let transport = Transport::new(stream, self.tls.as_ref());
        let sockets = Arc::clone(&self.sockets);
        let with_activity = (transport, Arc::clone(&activity));
        Some(AcceptedConnection {
            stream: DeadlineStream::new(with_activity, sockets, self.timeouts),
            local: LocalAddr(self.address.into()),
            remote: RemoteAddr(peer.into()),
            scheme: if self.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP },
            activity,
            proof,
        })
    }
}

/// Sets the options of a connection. Without them it works too, so a failure is ignored.
fn set_options(stream: &TcpStream) {
    stream.set_nodelay(true).ok();
    #[cfg(target_os = "linux")]
    SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES).ok();
}
