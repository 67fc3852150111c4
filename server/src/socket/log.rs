//! The log context of one socket: spans with the channel, the number of the socket and, once it is
//! known, the Application.

use presence_protocol::AppId;
use tracing::instrument::{Instrument, Instrumented};
use tracing::{Level, Span};

use crate::meter::Channel;

/// Creates the spans of one socket.
///
/// Creating a span costs as much as handling a frame; entering one costs a tenth of that. A span is
/// therefore created only if something may be logged: while work is under way that can fail, or if
/// the log level is `debug`. A socket of an Application keeps its span: such sockets are few and
/// busy.
#[derive(Clone, Copy)]
pub(super) struct SocketLog {
    channel: Channel,
    id: u64,
}

impl SocketLog {
    pub(super) fn new(channel: Channel, id: u64) -> Self {
        Self { channel, id }
    }

    /// Creates a span. It has the highest level, so that it exists for whatever is logged, and no
    /// parent, so that a line never names its socket twice.
    pub(super) fn span(self, app: Option<AppId>) -> Span {
        let (channel, app) = (self.channel.label(), app.map(tracing::field::display));
        tracing::error_span!(parent: None, "socket", channel, conn.id = self.id, app.id = app)
    }

    /// Runs work in a new span, which ends with it.
    pub(super) fn instrument<F: Future>(self, work: F) -> Instrumented<F> {
        Self::instrument_in(|| self.span(None), work)
    }

    /// Runs work in a span. At level `debug` the socket loop is in a span of its own already.
    pub(super) fn instrument_in<F: Future>(
        span: impl FnOnce() -> Span,
        work: F,
    ) -> Instrumented<F> {
        work.instrument(if Self::is_debug() { Span::none() } else { span() })
    }

    /// Returns true if the socket loop logs what it does.
    pub(super) fn is_debug() -> bool {
        tracing::enabled!(Level::DEBUG)
    }
}
