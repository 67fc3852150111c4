//! The loop that owns a socket: it writes what the protocol sends, reads frames, flushes once, and
//! acts on deadlines. It is the same over any stream of bytes; tests run it over memory.
//!
//! It never waits for its peer: a socket that cannot go on is polled again when its waker fires.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, Stream};
use presence_core::Steady;
use presence_protocol::CloseCode;
use presence_service::SocketWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::Error;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tracing::{Instrument, Span};

use super::counted_stream::CountedStream;
use super::log::SocketLog;
use super::progress::Progress;
use super::protocol_state::{Authentication, EndWork, Outgoing, ProtocolState};
use super::read_error::close_code;
use super::registry::{Registration, SocketRegistry};
use crate::client_proof::ClientProof;
use crate::connection::transport::Transport;

#[cfg(test)]
mod tests;

/// The maximum number of frames that one socket reads before others are polled.
const MAX_FRAMES_PER_POLL: usize = 64;
/// The number of unflushed bytes from which no more frames are taken from the protocol.
const MAX_UNFLUSHED: usize = 64 * 1024;
/// The maximum number of bytes that a peer may send before it is authenticated: a frame of 16 KiB
/// with its header. Complete frames do not count.
pub(super) const UNAUTHENTICATED_BYTES: usize = 16 * 1024 + 14;
/// The time for which a closed socket waits for its peer's close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A socket with the state of its protocol.
pub(crate) struct SocketLoop<P, S = Transport> {
    socket: WebSocketStream<CountedStream<S>>,
    protocol: P,
    waker: Arc<SocketWaker>,
    sockets: Arc<SocketRegistry>,
    log: SocketLog,
    /// The time of this poll: the clock is read once.
    now: Steady,
    opened_at: Steady,
    progress: Progress,
    pinged_at: Steady,
    /// Set until the peer is authenticated.
    is_limited: bool,
    proof: Option<Arc<ClientProof>>,
    unflushed: usize,
    /// The time for which the timer is set.
    timer_at: Option<Steady>,
    closing: Option<Closing>,
    /// A frame could not be written, so that a flush says nothing about it.
    has_lost_frame: bool,
    /// Set while the socket waits for the other tasks that are ready.
    is_gathering: bool,
}

/// A socket that has sent a close frame.
struct Closing {
    until: Steady,
    /// The peer broke the protocol. Its bytes are then discarded, so that it can read the
    /// close frame.
    discards: bool,
}

/// The end of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SocketEnd {
    /// The peer closed it in good order.
    Clean,
    Lost,
}

impl<P: ProtocolState, S: AsyncRead + AsyncWrite + Unpin + Send> SocketLoop<P, S> {
    pub(crate) fn new(
        socket: WebSocketStream<CountedStream<S>>,
        protocol: P,
        waker: Arc<SocketWaker>,
        sockets: Arc<SocketRegistry>,
        id: u64,
    ) -> Self {
        let now = sockets.service.steady();
        Self {
            socket,
            protocol,
            waker,
            sockets,
            log: SocketLog::new(P::CHANNEL, id),
            now,
            opened_at: now,
            progress: Progress::new(now),
            pinged_at: now,
            is_limited: true,
            proof: None,
            unflushed: 0,
            timer_at: None,
            closing: None,
            has_lost_frame: false,
            is_gathering: false,
        }
    }

    /// Sets the proof of the client, which is complete once the peer is authenticated.
    pub(crate) fn with_proof(mut self, proof: Option<Arc<ClientProof>>) -> Self {
        self.proof = proof;
        self
    }

    /// Runs until the socket has ended, then removes its registration.
    #[expect(clippy::manual_async_fn, reason = "an `async fn` stores its arguments twice")]
    pub(crate) fn run(mut self, registration: Registration) -> impl Future<Output = ()> + Send {
        async move {
            let _counted = self.sockets.meter(P::CHANNEL).count_connection();
            let end = std::future::poll_fn(|context| self.poll(context)).await;
            let span = self.span();
            let work = span.in_scope(|| self.protocol.end(end == SocketEnd::Clean));
            // Boxed with its span, which would otherwise have a place in each idle socket.
            let work = work.map(|work| -> EndWork { Box::pin(work.instrument(span)) });
            if let Some(work) = work {
                work.await;
            }
            drop(registration);
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<SocketEnd> {
        if self.waker.register(context) {
            self.protocol.handle_wake();
            if self.begins_to_gather() {
                // The runtime polls a task that wakes itself after all others that are ready.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        self.is_gathering = false;
        self.now = self.sockets.service.steady();
        let _span = SocketLog::is_debug().then(|| self.span().entered());
        if let Some(code) = self.waker.closing() {
            self.close(code);
        }
        for _ in 0..MAX_FRAMES_PER_POLL {
            self.write(context);
            if let Poll::Ready(end) = self.read(context) {
                match end {
                    Some(end) => return Poll::Ready(end),
                    None => continue,
                }
            }
            let was_full = self.unflushed >= MAX_UNFLUSHED;
            match self.flush(context) {
                Poll::Ready(Some(end)) => return Poll::Ready(end),
                // The protocol may have more to send, for which there was no room before.
                Poll::Ready(None) if was_full => {}
                Poll::Ready(None) | Poll::Pending => return self.handle_time(),
            }
        }
        if let Poll::Ready(Some(end)) = self.flush(context) {
            return Poll::Ready(end);
        }
        context.waker().wake_by_ref();
        self.handle_time()
    }

    /// Returns true if a socket that was just woken is to wait for the other tasks that are ready:
    /// without the wait, the news of each of them would be a write of its own.
    fn begins_to_gather(&mut self) -> bool {
        P::GATHERS_NEWS && !std::mem::replace(&mut self.is_gathering, true)
    }

    fn span(&self) -> Span {
        self.log.span(match self.protocol.authentication() {
            Authentication::Complete(app) => app,
            Authentication::Missing(_) => None,
        })
    }

    /// Takes frames from the protocol while the write buffer has room.
    fn write(&mut self, context: &mut Context<'_>) {
        // Work is polled even if nothing can be written: it may hold what others wait for.
        self.protocol.poll_work(context);
        self.lift_limits();
        while self.closing.is_none() && self.unflushed < MAX_UNFLUSHED {
            let Some(frame) = self.protocol.poll_outgoing() else { break };
            match frame {
                Outgoing::Text(bytes) => self.send_text(bytes),
                Outgoing::Close(code) => self.close(code),
            }
        }
    }

    /// Ends the limits for strangers once the peer is authenticated.
    fn lift_limits(&mut self) {
        if !self.is_limited || matches!(self.protocol.authentication(), Authentication::Missing(_))
        {
            return;
        }
        self.is_limited = false;
        self.socket.get_mut().set_allowance(None);
        if let Some(proof) = self.proof.take() {
            proof.complete();
        }
    }

    fn send_text(&mut self, bytes: Bytes) {
        let size = bytes.len();
        self.sockets.meter(P::CHANNEL).sent.increment(1);
        match Utf8Bytes::try_from(bytes) {
            Ok(text) => self.send(Message::Text(text), size),
            Err(error) => tracing::error!(%error, "an outgoing frame was not UTF-8"),
        }
    }

    fn send(&mut self, message: Message, size: usize) {
        self.unflushed += size;
        self.progress.begin_write(self.now);
        if let Err(error) = Pin::new(&mut self.socket).start_send(message) {
            tracing::debug!(%error, "socket.write");
            self.has_lost_frame = true;
            self.start_closing(true);
        }
    }

    /// Reads one frame. `Pending` if there is none, or if the protocol cannot handle one now.
    fn read(&mut self, context: &mut Context<'_>) -> Poll<Option<SocketEnd>> {
        if let Some(closing) = &self.closing
            && closing.discards
        {
            return self.discard(context);
        }
        if self.closing.is_none() && !self.protocol.can_handle_frame() {
            return Poll::Pending;
        }
        let read = Pin::new(&mut self.socket).poll_next(context);
        self.progress.record(self.socket.get_ref(), self.now);
        Poll::Ready(match std::task::ready!(read) {
            Some(Ok(message)) => {
                self.progress.complete(&message, self.now);
                if self.is_limited {
                    self.socket.get_mut().set_allowance(Some(UNAUTHENTICATED_BYTES));
                }
                self.handle_message(message)
            }
            Some(Err(error)) => self.handle_read_error(&error),
            None => Some(SocketEnd::Lost),
        })
    }

    fn handle_message(&mut self, message: Message) -> Option<SocketEnd> {
        match message {
            Message::Close(frame) => return Some(self.handle_close(frame.as_ref())),
            Message::Text(text) if self.closing.is_none() => {
                let meter = self.sockets.meter(P::CHANNEL);
                meter.record_frame(|| self.protocol.handle_frame(&text));
            }
            Message::Binary(_) => self.close(CloseCode::Unsupported),
            Message::Ping(_) | Message::Pong(_) if self.closing.is_none() => {
                self.protocol.handle_control_frame();
            }
            Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
        None
    }

    /// Handles a close frame or the answer to one. Flushes our own before the socket is dropped.
    fn handle_close(&mut self, frame: Option<&CloseFrame>) -> SocketEnd {
        let mut context = Context::from_waker(std::task::Waker::noop());
        let _ = Pin::new(&mut self.socket).poll_flush(&mut context);
        let clean = frame.is_none_or(|frame| matches!(u16::from(frame.code), 1000 | 1001 | 1005));
        if self.closing.is_none() && clean { SocketEnd::Clean } else { SocketEnd::Lost }
    }

    /// Handles an error of the connection, or a frame that a peer may not send.
    fn handle_read_error(&mut self, error: &Error) -> Option<SocketEnd> {
        let Some(code) = close_code(error) else {
            tracing::debug!(%error, "socket.read");
            return Some(SocketEnd::Lost);
        };
        self.close(code);
        self.socket.get_mut().set_allowance(None);
        if let Some(closing) = &mut self.closing {
            closing.discards = true;
        }
        None
    }

    fn discard(&mut self, context: &mut Context<'_>) -> Poll<Option<SocketEnd>> {
        let mut scratch = [0; 4096];
        let mut buffer = ReadBuf::new(&mut scratch);
        let read = Pin::new(self.socket.get_mut()).poll_read(context, &mut buffer);
        Poll::Ready(match std::task::ready!(read) {
            Ok(()) if !buffer.filled().is_empty() => None,
            Ok(()) | Err(_) => Some(SocketEnd::Lost),
        })
    }

    fn flush(&mut self, context: &mut Context<'_>) -> Poll<Option<SocketEnd>> {
        match std::task::ready!(Pin::new(&mut self.socket).poll_flush(context)) {
            Ok(()) => {
                self.unflushed = 0;
                self.progress.complete_write();
                if !self.has_lost_frame {
                    self.protocol.handle_flushed();
                }
                Poll::Ready(None)
            }
            // The close frame cannot be written; the close timeout ends the socket as usual.
            Err(_) if self.closing.is_some() => Poll::Pending,
            Err(_) => Poll::Ready(Some(SocketEnd::Lost)),
        }
    }

    fn close(&mut self, code: CloseCode) {
        if self.closing.is_some() {
            return;
        }
        tracing::debug!(code = code.number(), "socket.close");
        let reason = Utf8Bytes::from_static(code.reason());
        self.send(Message::Close(Some(CloseFrame { code: code.number().into(), reason })), 0);
        self.start_closing(false);
    }

    fn start_closing(&mut self, discards: bool) {
        let until = self.now + CLOSE_TIMEOUT;
        self.closing.get_or_insert(Closing { until, discards });
        self.protocol.cancel_pending();
    }

    /// Acts on deadlines that are over, and sets the timer for the next one.
    fn handle_time(&mut self) -> Poll<SocketEnd> {
        self.progress.record(self.socket.get_ref(), self.now);
        let now = self.now;
        if let Some(closing) = &self.closing {
            if now >= closing.until {
                return Poll::Ready(SocketEnd::Lost);
            }
            self.set_timer(closing.until);
            return Poll::Pending;
        }
        let limits = self.sockets.limits;
        if now >= self.progress.received_at() + 2 * limits.ping {
            return Poll::Ready(SocketEnd::Lost);
        }
        let write = self.progress.unflushed_since().map(|since| since + limits.write);
        let frame = self.progress.incoming_since().map(|since| since + limits.frame);
        if [write, frame].into_iter().flatten().any(|deadline| now >= deadline) {
            self.close(CloseCode::TooSlowOrTooFast);
            self.set_timer(now + CLOSE_TIMEOUT);
            return Poll::Pending;
        }
        let protocol = self.protocol.handle_time().map(|wait| now + wait);
        let authentication = self.check_authentication();
        let ping = self.ping();
        let deadlines = [protocol, authentication, write, frame].into_iter().flatten();
        self.set_timer(deadlines.fold(ping, Steady::min));
        Poll::Pending
    }

    /// Closes the socket if its peer has not authenticated in time. Returns the deadline.
    fn check_authentication(&mut self) -> Option<Steady> {
        let Authentication::Missing(code) = self.protocol.authentication() else { return None };
        let deadline = self.opened_at + self.sockets.limits.authentication;
        if self.now >= deadline {
            self.close(code);
            self.waker.wake();
        }
        Some(deadline)
    }

    /// Pings a peer that has been silent for an interval. Returns the time of the next check.
    fn ping(&mut self) -> Steady {
        let (now, interval) = (self.now, self.sockets.limits.ping);
        let received_at = self.progress.received_at();
        let silent_since = received_at.max(self.pinged_at);
        if now < silent_since + interval {
            return silent_since + interval;
        }
        self.pinged_at = now;
        self.send(Message::Ping(Bytes::new()), 0);
        self.waker.wake();
        (received_at + 2 * interval).max(now + Duration::from_millis(1))
    }

    /// Sets the timer, unless it is set to an earlier time already.
    fn set_timer(&mut self, at: Steady) {
        let now = self.now;
        if self.timer_at.is_some_and(|timer| timer > now && timer <= at) {
            return;
        }
        self.timer_at = Some(at);
        self.sockets.timers.schedule(at - now, &self.waker);
    }
}
