//! The loop that every socket runs: drain what is to be written, read what has come, flush once, look at the deadlines.
//!
//! What is said is the conversation's. Nothing here waits for one peer at the cost of another: a conversation that cannot go on
//! yet is polled again when its bell rings.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, Stream};
use presence_core::Steady;
use presence_protocol::{AppId, CloseCode};
use presence_service::SocketWaker;
use tokio::io::{AsyncRead, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tracing::span::EnteredSpan;
use tracing::{Level, Span};

use super::registry::{Registration, SocketRegistry};
use crate::connection::transport::Transport;
use crate::meter::Channel;

/// How many frames one socket may read before others get their turn.
const FRAMES_A_TURN: usize = 64;
/// How many bytes may wait in the write buffer before more is taken from the conversation.
const UNFLUSHED: usize = 64 * 1024;
/// How long a closed socket waits for its peer's close frame.
const LINGER: Duration = Duration::from_secs(2);

/// What is said on a socket.
pub(crate) trait ProtocolState: Send {
    /// Which channel it is on.
    const CHANNEL: Channel;

    /// Whether it can take another frame now.
    fn is_ready(&self) -> bool;

    /// Takes a text frame.
    fn handle_frame(&mut self, text: &str);

    /// The bell has rung: there may be news to say.
    fn ring(&mut self);

    /// Drives what is under way.
    fn drive(&mut self, context: &mut Context<'_>);

    /// Drops what is under way: nobody waits for it, and it may hold what others wait for.
    fn cancel_pending(&mut self);

    /// The next frame to write.
    fn poll_outgoing(&mut self) -> Option<Outgoing>;

    /// Everything that was said so far is on its way.
    fn flushed(&mut self);

    /// Acts on the time. Returns how long from now until it must be asked again, `None` if never.
    fn look_at_time(&mut self) -> Option<Duration>;

    /// Whether something is under way that may be logged.
    fn may_log(&self) -> bool;

    /// The Application that is served, once it is known.
    fn app(&self) -> Option<AppId>;

    /// The Application is known: what is logged of it belongs to this span.
    fn named(&mut self, span: &Span);

    /// Whether it knows who is there.
    fn is_known(&self) -> bool;

    /// What it is to be closed with if it does not come to know who is there in time.
    fn why_unknown(&self) -> CloseCode;

    /// The socket has ended, cleanly (closed by the peer in good order) or not.
    fn end(self, clean: bool);
}

/// What a conversation says.
pub(crate) enum Outgoing {
    /// A text frame.
    Text(Bytes),
    /// Good-bye.
    Close(CloseCode),
}

/// A socket with its conversation.
pub(crate) struct SocketLoop<C> {
    socket: WebSocketStream<Transport>,
    conversation: C,
    bell: Arc<SocketWaker>,
    sockets: Arc<SocketRegistry>,
    /// The number of the connection, as the log has it.
    id: u64,
    /// The time of this turn: the clock is read once.
    now: Steady,
    opened_at: Steady,
    heard_at: Steady,
    pinged_at: Steady,
    /// Since when something waits to be flushed.
    unflushed_since: Option<Steady>,
    unflushed: usize,
    called_at: Option<Steady>,
    closing: Option<Closing>,
    /// The span of a socket whose Application is known.
    span: Option<Box<Span>>,
}

struct Closing {
    until: Steady,
    /// The peer speaks no WebSocket any more: what it still sends is thrown away, so that it can read our good-bye.
    deaf: bool,
}

/// How a socket ended.
enum Ended {
    Clean,
    Lost,
}

impl<C: ProtocolState> SocketLoop<C> {
    pub(crate) fn new(
        socket: WebSocketStream<Transport>,
        conversation: C,
        bell: Arc<SocketWaker>,
        sockets: Arc<SocketRegistry>,
    ) -> Self {
        let now = sockets.service.steady();
        Self {
            socket,
            conversation,
            bell,
            sockets,
            id: 0,
            now,
            opened_at: now,
            heard_at: now,
            pinged_at: now,
            unflushed_since: None,
            unflushed: 0,
            called_at: None,
            closing: None,
            span: None,
        }
    }

    /// Runs until the socket has ended, then strikes it out of the register.
    #[expect(clippy::manual_async_fn, reason = "an `async fn` keeps what it is given twice")]
    pub(crate) fn run(mut self, entry: Registration) -> impl Future<Output = ()> + Send {
        async move {
            self.id = entry.id();
            let _counted = self.sockets.meter(C::CHANNEL).count_connection();
            let ended = std::future::poll_fn(|context| self.turn(context)).await;
            let _span = self.span();
            self.conversation.end(matches!(ended, Ended::Clean));
            drop(entry);
        }
    }

    fn turn(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        if self.bell.register(context) {
            self.conversation.ring();
        }
        self.now = self.sockets.service.steady();
        self.poll(context)
    }

    /// What is logged from here on is of this socket. Made only where something may be logged, since it costs more than a frame,
    /// and kept where it serves an Application: such sockets are few, and at work all the time.
    fn span(&self) -> EnteredSpan {
        self.span.as_deref().cloned().unwrap_or_else(|| self.new_span()).entered()
    }

    fn new_span(&self) -> Span {
        let (channel, app) = (C::CHANNEL.label(), self.conversation.app());
        let app = app.map(tracing::field::display);
        // Of the highest level, so that it is there for whatever is logged at all.
        tracing::error_span!("socket", channel, conn.id = self.id, app.id = app)
    }

    fn keep_span(&mut self) {
        if self.span.is_none() && self.conversation.app().is_some() {
            let span = self.new_span();
            self.conversation.named(&span);
            self.span = Some(Box::new(span));
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        let _span = tracing::enabled!(Level::DEBUG).then(|| self.span());
        if let Some(code) = self.bell.closing() {
            self.close(code);
        }
        for _ in 0..FRAMES_A_TURN {
            self.write(context);
            if let Poll::Ready(ended) = self.read(context) {
                match ended {
                    Some(ended) => return Poll::Ready(ended),
                    None => continue,
                }
            }
            let was_full = self.unflushed >= UNFLUSHED;
            match self.flush(context) {
                Poll::Ready(Some(ended)) => return Poll::Ready(ended),
                // There was no room for all that is to be said, and now there is.
                Poll::Ready(None) if was_full => {}
                Poll::Ready(None) | Poll::Pending => return self.look_at_time(),
            }
        }
        if let Poll::Ready(Some(ended)) = self.flush(context) {
            return Poll::Ready(ended);
        }
        context.waker().wake_by_ref();
        self.look_at_time()
    }

    /// Takes from the conversation what fits into the write buffer.
    fn write(&mut self, context: &mut Context<'_>) {
        let may_log = self.conversation.may_log() && !tracing::enabled!(Level::DEBUG);
        let _span = may_log.then(|| self.span());
        // Also while nothing can be written: what is under way may hold what others wait for.
        self.conversation.drive(context);
        self.keep_span();
        while self.closing.is_none() && self.unflushed < UNFLUSHED {
            let Some(say) = self.conversation.poll_outgoing() else { break };
            match say {
                Outgoing::Text(bytes) => self.send_text(bytes),
                Outgoing::Close(code) => self.close(code),
            }
        }
    }

    fn send_text(&mut self, bytes: Bytes) {
        let size = bytes.len();
        self.sockets.meter(C::CHANNEL).sent.increment(1);
        match Utf8Bytes::try_from(bytes) {
            Ok(text) => self.send(Message::Text(text), size),
            Err(error) => tracing::error!(%error, "a frame of ours was not UTF-8"),
        }
    }

    fn send(&mut self, message: Message, size: usize) {
        self.unflushed += size;
        self.unflushed_since.get_or_insert(self.now);
        if let Err(error) = Pin::new(&mut self.socket).start_send(message) {
            tracing::debug!(%error, "socket.write");
            self.start_closing(true);
        }
    }

    /// Reads one frame. `Pending` where there is none, or where the conversation cannot take one yet.
    fn read(&mut self, context: &mut Context<'_>) -> Poll<Option<Ended>> {
        if let Some(closing) = &self.closing
            && closing.deaf
        {
            return self.discard(context);
        }
        if self.closing.is_none() && !self.conversation.is_ready() {
            return Poll::Pending;
        }
        let read = std::task::ready!(Pin::new(&mut self.socket).poll_next(context));
        self.heard_at = self.now;
        Poll::Ready(match read {
            Some(Ok(message)) => self.take(message),
            Some(Err(error)) => self.fail(&error),
            None => Some(Ended::Lost),
        })
    }

    fn take(&mut self, message: Message) -> Option<Ended> {
        match message {
            Message::Close(frame) => return Some(self.farewell(frame.as_ref())),
            Message::Text(text) if self.closing.is_none() => {
                self.sockets
                    .meter(C::CHANNEL)
                    .record_frame(|| self.conversation.handle_frame(&text));
            }
            Message::Binary(_) => self.close(CloseCode::Unsupported),
            Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
        None
    }

    /// The peer said good-bye: of its own accord, or in answer to ours. Our answer goes out before the socket is dropped.
    fn farewell(&mut self, frame: Option<&CloseFrame>) -> Ended {
        let mut context = Context::from_waker(std::task::Waker::noop());
        let _ = Pin::new(&mut self.socket).poll_flush(&mut context);
        let clean = frame.is_none_or(|frame| matches!(u16::from(frame.code), 1000 | 1001 | 1005));
        if self.closing.is_none() && clean { Ended::Clean } else { Ended::Lost }
    }

    /// What was read was not what a peer may send.
    fn fail(&mut self, error: &Error) -> Option<Ended> {
        let code = if matches!(error, Error::Capacity(CapacityError::MessageTooLong { .. })) {
            CloseCode::TooLarge
        } else if matches!(error, Error::Utf8(_)) {
            CloseCode::InvalidUtf8
        } else {
            tracing::debug!(%error, "socket.read");
            return Some(Ended::Lost);
        };
        self.close(code);
        if let Some(closing) = &mut self.closing {
            closing.deaf = true;
        }
        None
    }

    fn discard(&mut self, context: &mut Context<'_>) -> Poll<Option<Ended>> {
        let mut scratch = [0; 4096];
        let mut buffer = ReadBuf::new(&mut scratch);
        let read = Pin::new(self.socket.get_mut()).poll_read(context, &mut buffer);
        Poll::Ready(match std::task::ready!(read) {
            Ok(()) if !buffer.filled().is_empty() => None,
            Ok(()) | Err(_) => Some(Ended::Lost),
        })
    }

    fn flush(&mut self, context: &mut Context<'_>) -> Poll<Option<Ended>> {
        match std::task::ready!(Pin::new(&mut self.socket).poll_flush(context)) {
            Ok(()) => {
                self.unflushed = 0;
                self.unflushed_since = None;
                self.conversation.flushed();
                Poll::Ready(None)
            }
            // The good-bye cannot be written: wait no longer than for any other.
            Err(_) if self.closing.is_some() => Poll::Pending,
            Err(_) => Poll::Ready(Some(Ended::Lost)),
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

    fn start_closing(&mut self, deaf: bool) {
        let until = self.now + LINGER;
        self.closing.get_or_insert(Closing { until, deaf });
        self.conversation.cancel_pending();
    }

    /// Acts on deadlines that are over, and asks to be called at the next.
    fn look_at_time(&mut self) -> Poll<Ended> {
        let now = self.now;
        if let Some(closing) = &self.closing {
            if now >= closing.until {
                return Poll::Ready(Ended::Lost);
            }
            self.call_at(now, closing.until);
            return Poll::Pending;
        }
        let limits = self.sockets.limits;
        if now >= self.heard_at + 2 * limits.ping {
            return Poll::Ready(Ended::Lost);
        }
        if self.unflushed_since.is_some_and(|since| now >= since + limits.write) {
            self.close(CloseCode::TooSlowOrTooFast);
            self.call_at(now, now + LINGER);
            return Poll::Pending;
        }
        let mut next = self.conversation.look_at_time().map(|wait| now + wait);
        if !self.conversation.is_known() {
            let hello = self.opened_at + limits.hello;
            if now >= hello {
                self.close(self.conversation.why_unknown());
                self.bell.wake();
            }
            next = Some(next.map_or(hello, |next| next.min(hello)));
        }
        let ping = self.ping(now);
        let write = self.unflushed_since.map(|since| since + limits.write);
        let next = [next, write].into_iter().flatten().fold(ping, Steady::min);
        self.call_at(now, next);
        Poll::Pending
    }

    /// Pings a peer that has been silent for an interval, and gives the time of the next look.
    fn ping(&mut self, now: Steady) -> Steady {
        let interval = self.sockets.limits.ping;
        let silent_since = self.heard_at.max(self.pinged_at);
        if now < silent_since + interval {
            return silent_since + interval;
        }
        self.pinged_at = now;
        self.send(Message::Ping(Bytes::new()), 0);
        self.bell.wake();
        (self.heard_at + 2 * interval).max(now + Duration::from_millis(1))
    }

    fn call_at(&mut self, now: Steady, at: Steady) {
        if self.called_at.is_some_and(|called| called > now && called <= at) {
            return;
        }
        self.called_at = Some(at);
        self.sockets.timers.schedule(at - now, &self.bell);
    }
}
