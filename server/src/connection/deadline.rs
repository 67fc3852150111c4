//! A connection that ends without progress: a TLS handshake or a request that never completes, a
//! peer that does not read, or a connection that is no longer used.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use presence_core::Steady;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::open_connections::HttpConnection;
use super::transport::Transport;
use crate::meter;
use crate::socket::registry::SocketRegistry;

/// The number of received bytes that count as progress: one byte at a time would keep a connection
/// open for nothing.
const PROGRESS_BYTES: usize = 1024;

/// The longest times without progress on a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionTimeouts {
    /// The time for the TLS handshake.
    pub(crate) handshake: Duration,
    /// The time for the first request, until its response begins. Each KiB that arrives extends it.
    pub(crate) first_request: Duration,
    /// The longest time of any request while its bytes arrive.
    pub(crate) request: Duration,
    /// The time for each later request, including the pause before it.
    pub(crate) keep_alive: Duration,
}

/// A transport with a deadline, which each write extends.
pub(crate) struct DeadlineStream {
    transport: Transport,
    activity: Arc<HttpConnection>,
    sockets: Arc<SocketRegistry>,
    deadline: Steady,
    /// The time for the first request, while the handshake is still under way.
    first_request: Option<Duration>,
    timeouts: ConnectionTimeouts,
    /// The time of the first byte since the last write.
    request_began_at: Option<Steady>,
    /// The number of received bytes that did not extend the deadline.
    received: usize,
    /// Set while a timer is scheduled that has not fired.
    is_scheduled: bool,
}

impl DeadlineStream {
    pub(super) fn new(
        (transport, activity): (Transport, Arc<HttpConnection>),
        sockets: Arc<SocketRegistry>,
        timeouts: ConnectionTimeouts,
    ) -> Self {
        let ConnectionTimeouts { handshake, first_request, .. } = timeouts;
        let is_handshaking = transport.is_handshaking();
        let timeout = if is_handshaking { handshake } else { first_request };
        Self {
            deadline: sockets.service.steady() + timeout,
            first_request: is_handshaking.then_some(first_request),
            transport,
            activity,
            sockets,
            timeouts,
            request_began_at: None,
            received: 0,
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
        let has_fired = self.activity.waker.register(context);
        if self.activity.is_closed() {
            return true;
        }
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
        self.sockets.timers.schedule(wait, &self.activity.waker);
        false
    }

    /// Starts the time for the first request once the handshake is done, and extends the time of a
    /// request whose bytes arrive.
    fn on_read(&mut self, bytes: usize) {
        if bytes > 0 {
            self.on_received(bytes);
        }
        if !self.transport.is_handshaking()
            && let Some(first_request) = self.first_request.take()
        {
            self.deadline = self.sockets.service.steady() + first_request;
        }
    }

    fn on_received(&mut self, bytes: usize) {
        let now = self.sockets.service.steady();
        self.activity.record_activity(now);
        let began_at = *self.request_began_at.get_or_insert(now);
        self.received += bytes;
        if self.received >= PROGRESS_BYTES {
            self.received = 0;
            let end = began_at + self.timeouts.request;
            self.deadline = self.deadline.max(end.min(now + self.timeouts.first_request));
        }
    }

    /// Extends the deadline after a write. Fails if it is over and the peer reads nothing.
    fn on_written<T>(
        &mut self,
        written: Poll<Result<T>>,
        context: &Context<'_>,
        has_progress: impl Fn(&T) -> bool,
    ) -> Poll<Result<T>> {
        match &written {
            Poll::Ready(Ok(progress)) if has_progress(progress) => {
                let now = self.sockets.service.steady();
                self.activity.record_activity(now);
                self.deadline = now + self.timeouts.keep_alive;
                (self.first_request, self.request_began_at, self.received) = (None, None, 0);
            }
            Poll::Pending if self.has_expired(context) => return Poll::Ready(Err(timed_out())),
            Poll::Ready(_) | Poll::Pending => {}
        }
        written
    }
}

impl AsyncRead for DeadlineStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        if self.has_expired(context) {
            return Poll::Ready(Err(timed_out()));
        }
        let before = buffer.filled().len();
        let read = self.transport().poll_read(context, buffer);
        self.on_read(buffer.filled().len() - before);
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
        self.on_written(written, context, |bytes| *bytes > 0)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = self.transport().poll_write_vectored(context, parts);
        self.on_written(written, context, |bytes| *bytes > 0)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let flushed = self.transport().poll_flush(context);
        self.on_written(flushed, context, |()| false)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.transport().poll_shutdown(context)
    }
}

fn timed_out() -> Error {
    Error::from(ErrorKind::TimedOut)
}
