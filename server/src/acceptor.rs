//! Accepts connections: without Nagle's delay, with a pause at the file limit, by TLS where that is wished, and with an eye on peers
//! that never finish a handshake or a request.

mod link;

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use poem::http::uri::Scheme;
use poem::listener::Acceptor;
use poem::web::{LocalAddr, RemoteAddr};
use presence_core::Steady;
use presence_service::SocketWaker;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;

pub(crate) use self::link::Link;
use crate::handover;
use crate::meter;
use crate::socket::registry::SocketRegistry;
use crate::tls::Tls;

/// Connections that wait for being accepted.
const BACKLOG: i32 = 4096;
/// The pause after a failure to accept, such as the file limit: trying again at once would only burn a core.
const PAUSE: Duration = Duration::from_millis(100);

/// Binds the address.
///
/// # Errors
///
/// As the system says.
pub(crate) fn bind(address: SocketAddr) -> Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// How long nothing may be written to a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Silences {
    /// While its TLS handshake lasts.
    pub(crate) handshake: Duration,
    /// Until its first answer.
    pub(crate) first: Duration,
    /// After that.
    pub(crate) later: Duration,
}

/// Accepts for poem.
pub(crate) struct Listening {
    listener: TcpListener,
    address: SocketAddr,
    sockets: Arc<SocketRegistry>,
    silences: Silences,
    tls: Option<Arc<Tls>>,
}

impl Listening {
    /// Accepts from a listener, by TLS where there is some.
    ///
    /// # Errors
    ///
    /// Where the listener has no address.
    pub(crate) fn new(
        listener: TcpListener,
        sockets: Arc<SocketRegistry>,
        silences: Silences,
        tls: Option<Arc<Tls>>,
    ) -> Result<Self> {
        Ok(Self { address: listener.local_addr()?, listener, sockets, silences, tls })
    }
}

impl Acceptor for Listening {
    type Io = Watched;

    fn local_addr(&self) -> Vec<LocalAddr> {
        vec![LocalAddr(self.address.into())]
    }

    async fn accept(&mut self) -> Result<(Watched, LocalAddr, RemoteAddr, Scheme)> {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    stream.set_nodelay(true).ok();
                    let scheme = if self.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
                    let link = Link::new(stream, self.tls.as_ref().map(|tls| tls.acceptor()));
                    let link = Watched::new(link, Arc::clone(&self.sockets), self.silences);
                    let local = LocalAddr(self.address.into());
                    return Ok((link, local, RemoteAddr(peer.into()), scheme));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// A connection that ends where nothing was written to it for too long: a handshake or a request that never ends, or an idle
/// connection. An open socket is pinged more often than that.
pub(crate) struct Watched {
    /// There until it is dropped.
    link: Option<Link>,
    bell: Arc<SocketWaker>,
    sockets: Arc<SocketRegistry>,
    /// Until when something must be written.
    until: Steady,
    /// How long it may be silent once the handshake is done, where that is still under way.
    first: Option<Duration>,
    later: Duration,
    called: bool,
}

impl Watched {
    fn new(link: Link, sockets: Arc<SocketRegistry>, silences: Silences) -> Self {
        let Silences { handshake, first, later } = silences;
        let greeting = link.is_greeting();
        let until = sockets.service.steady() + if greeting { handshake } else { first };
        let (link, first) = (Some(link), greeting.then_some(first));
        Self { link, bell: Arc::default(), sockets, until, first, later, called: false }
    }

    fn is_greeting(&self) -> bool {
        self.link.as_ref().is_some_and(Link::is_greeting)
    }

    fn link(&mut self) -> Result<Pin<&mut Link>> {
        self.link.as_mut().map(Pin::new).ok_or_else(|| Error::from(ErrorKind::NotConnected))
    }

    fn is_over(&mut self, context: &Context<'_>) -> bool {
        let rung = self.bell.register(context);
        if self.called && !rung {
            return false;
        }
        let now = self.sockets.service.steady();
        if now >= self.until {
            if self.is_greeting() {
                meter::handshake(false);
            }
            return true;
        }
        self.called = true;
        // Once the handshake is done, the time for the first request may end before that of the handshake would have.
        let wait = self.first.map_or(self.until - now, |first| first.min(self.until - now));
        self.sockets.wheel.schedule(wait, &self.bell);
        false
    }

    /// The handshake is not what the peer has to say: once it is done, the time for the first request begins.
    fn greeted(&mut self) {
        if !self.is_greeting()
            && let Some(first) = self.first.take()
        {
            self.until = self.sockets.service.steady() + first;
        }
    }

    fn wrote(&mut self, written: &Poll<Result<usize>>) {
        if matches!(written, Poll::Ready(Ok(bytes)) if *bytes > 0) {
            self.until = self.sockets.service.steady() + self.later;
            self.first = None;
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        handover::catch(&mut self.link);
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        if self.is_over(context) {
            return Poll::Ready(Err(Error::from(ErrorKind::TimedOut)));
        }
        let read = self.link()?.poll_read(context, buffer);
        self.greeted();
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        let written = self.link()?.poll_write(context, bytes);
        self.wrote(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[std::io::IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = self.link()?.poll_write_vectored(context, parts);
        self.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.link.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.link()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.link()?.poll_shutdown(context)
    }
}
