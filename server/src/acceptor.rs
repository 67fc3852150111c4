//! Accepts connections: without Nagle's delay, with a pause at the file limit, and with an eye on peers that never finish a request.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use poem::http::uri::Scheme;
use poem::listener::Acceptor;
use poem::web::{LocalAddr, RemoteAddr};
use presence_core::Millis;
use presence_service::Bell;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use crate::handover;
use crate::socket::shared::Sockets;

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

/// Accepts for poem.
pub(crate) struct Listening {
    listener: TcpListener,
    address: SocketAddr,
    sockets: Arc<Sockets>,
    silences: (Millis, Millis),
}

impl Listening {
    /// Accepts from a listener. `silences` are how long nothing may be written to a connection, at first and later.
    ///
    /// # Errors
    ///
    /// Where the listener has no address.
    pub(crate) fn new(
        listener: TcpListener,
        sockets: Arc<Sockets>,
        silences: (Millis, Millis),
    ) -> Result<Self> {
        Ok(Self { address: listener.local_addr()?, listener, sockets, silences })
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
                    let stream = Watched::new(stream, Arc::clone(&self.sockets), self.silences);
                    let local = LocalAddr(self.address.into());
                    return Ok((stream, local, RemoteAddr(peer.into()), Scheme::HTTP));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// A connection that ends where nothing was written to it for too long: a request that never ends, or an idle connection. An open
/// socket is pinged more often than that.
pub(crate) struct Watched {
    /// There until it is dropped.
    stream: Option<TcpStream>,
    bell: Arc<Bell>,
    sockets: Arc<Sockets>,
    /// Until when something must be written.
    until: Millis,
    silence: Millis,
    called: bool,
}

impl Watched {
    fn new(stream: TcpStream, sockets: Arc<Sockets>, (first, later): (Millis, Millis)) -> Self {
        let until = sockets.presence.steady() + first;
        let stream = Some(stream);
        Self { stream, bell: Arc::default(), sockets, until, silence: later, called: false }
    }

    fn stream(&mut self) -> Result<Pin<&mut TcpStream>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| Error::from(ErrorKind::NotConnected))
    }

    fn is_over(&mut self, context: &Context<'_>) -> bool {
        let rung = self.bell.listen(context);
        if self.called && !rung {
            return false;
        }
        let now = self.sockets.presence.steady();
        if now >= self.until {
            return true;
        }
        self.called = true;
        self.sockets.wheel.call_after(self.until - now, &self.bell);
        false
    }

    fn wrote(&mut self, written: &Poll<Result<usize>>) {
        if matches!(written, Poll::Ready(Ok(bytes)) if *bytes > 0) {
            self.until = self.sockets.presence.steady() + self.silence;
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        handover::catch(&mut self.stream);
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
        self.stream()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        let written = self.stream()?.poll_write(context, bytes);
        self.wrote(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[std::io::IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = self.stream()?.poll_write_vectored(context, parts);
        self.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.stream()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.stream()?.poll_shutdown(context)
    }
}
