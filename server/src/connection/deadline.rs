//! A connection that ends if nothing is written to it for too long: a TLS handshake or a request
//! that never completes, or a connection that is no longer used.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use presence_core::Steady;
use presence_service::SocketWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::transport::Transport;
use crate::meter;
use crate::socket::registry::SocketRegistry;

/// The longest times without a byte written to a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionTimeouts {
    /// The time for the TLS handshake.
    pub(crate) handshake: Duration,
    /// The time for the first request, until its response begins.
    pub(crate) first_request: Duration,
    /// The time for each later request, including the pause before it.
    pub(crate) keep_alive: Duration,
}

/// A transport with a deadline, which each write extends.
pub(crate) struct DeadlineStream {
    transport: Transport,
    waker: Arc<SocketWaker>,
    sockets: Arc<SocketRegistry>,
    deadline: Steady,
    /// The time for the first request, while the handshake is still under way.
    first_request: Option<Duration>,
    keep_alive: Duration,
    /// Set while a timer is scheduled that has not fired.
    is_scheduled: bool,
}

impl DeadlineStream {
    pub(super) fn new(
        transport: Transport,
        sockets: Arc<SocketRegistry>,
        timeouts: ConnectionTimeouts,
    ) -> Self {
        let ConnectionTimeouts { handshake, first_request, keep_alive } = timeouts;
        let is_handshaking = transport.is_handshaking();
        let timeout = if is_handshaking { handshake } else { first_request };
        Self {
            deadline: sockets.service.steady() + timeout,
            first_request: is_handshaking.then_some(first_request),
            transport,
            waker: Arc::default(),
            sockets,
            keep_alive,
            is_scheduled: false,
        }
    }

    /// Removes the deadline. An open WebSocket has deadlines of its own.
    pub(super) fn into_transport(self) -> Transport {
        self.transport
    }

    fn transport(&mut self) -> Pin<&mut Transport> {
        Pin::new(&mut self.transport)
    }

    /// Returns true if the deadline is over; otherwise the task is woken again at the deadline.
    fn has_expired(&mut self, context: &Context<'_>) -> bool {
        let has_fired = self.waker.register(context);
        if self.is_scheduled && !has_fired {
            return false;
        }
        let now = self.sockets.service.steady();
        if now >= self.deadline {
            if self.transport.is_handshaking() {
                meter::count_handshake(false);
                // Otherwise hyper would wait for the handshake, to shut the stream down.
                self.transport.abort();
            }
            return true;
        }
        self.is_scheduled = true;
        // The end of the handshake sets a new deadline, which can be earlier than this one.
        let left = self.deadline - now;
        let wait = self.first_request.map_or(left, |first_request| first_request.min(left));
        self.sockets.timers.schedule(wait, &self.waker);
        false
    }

    /// Starts the time for the first request once the handshake is done.
    fn on_read(&mut self) {
        if !self.transport.is_handshaking()
            && let Some(first_request) = self.first_request.take()
        {
            self.deadline = self.sockets.service.steady() + first_request;
        }
    }

    fn on_written(&mut self, written: &Poll<Result<usize>>) {
        if matches!(written, Poll::Ready(Ok(bytes)) if *bytes > 0) {
            self.deadline = self.sockets.service.steady() + self.keep_alive;
            self.first_request = None;
        }
    }
}

impl AsyncRead for DeadlineStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        if self.has_expired(context) {
            return Poll::Ready(Err(Error::from(ErrorKind::TimedOut)));
        }
        let read = self.transport().poll_read(context, buffer);
        self.on_read();
        read
    }
}

impl AsyncWrite for DeadlineStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        let written = self.transport().poll_write(context, bytes);
        self.on_written(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = self.transport().poll_write_vectored(context, parts);
        self.on_written(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.transport().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.transport().poll_shutdown(context)
    }
}
