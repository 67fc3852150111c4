//! Accepts connections, without Nagle's delay, and pauses while the file limit is reached.

use std::io::{Error, Result};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use presence_core::LogLimit;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use super::deadline::{ConnectionTimeouts, DeadlineStream};
use super::transport::Transport;
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

/// A listener whose connections have deadlines and, if there is a certificate, use TLS.
pub(crate) struct ConnectionListener {
    listener: TcpListener,
    address: SocketAddr,
    sockets: Arc<SocketRegistry>,
    timeouts: ConnectionTimeouts,
    tls: Option<Arc<Tls>>,
    failures: Mutex<LogLimit>,
}

/// A connection with its addresses.
pub(crate) struct AcceptedConnection {
    pub(super) stream: DeadlineStream,
    pub(super) local: LocalAddr,
    pub(super) remote: RemoteAddr,
    pub(super) scheme: Scheme,
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
        timeouts: ConnectionTimeouts,
        tls: Option<Arc<Tls>>,
    ) -> Result<Self> {
        let (address, failures) = (listener.local_addr()?, Mutex::default());
        Ok(Self { listener, address, sockets, timeouts, tls, failures })
    }

    /// Waits for the next connection. Cancel-safe: a dropped call loses no connection.
    pub(crate) async fn accept(&self) -> AcceptedConnection {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    stream.set_nodelay(true).ok();
                    let acceptor = self.tls.as_ref().map(|tls| tls.acceptor());
                    let transport = Transport::new(stream, acceptor);
                    let sockets = Arc::clone(&self.sockets);
                    return AcceptedConnection {
                        stream: DeadlineStream::new(transport, sockets, self.timeouts),
                        local: LocalAddr(self.address.into()),
                        remote: RemoteAddr(peer.into()),
                        scheme: if self.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP },
                    };
                }
                Err(error) => {
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
}
