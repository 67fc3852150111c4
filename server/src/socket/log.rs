//! The log and trace context of one socket: spans with the channel, and for the log with the number
//! of the socket and, once it is known, the Application.

use presence_core::TRACE_TARGET;
use presence_protocol::{ApiError, AppId};
use tracing::field::Empty;
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

    /// Runs the opening of a channel in a span for the log, and in one for traces.
    pub(super) async fn instrument_opening<T>(
        self,
        work: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        let span = self.opening_span();
        let result = self.instrument(work).instrument(span.clone()).await;
        if let Err(error) = &result {
            span.record("error.type", error.errno.name());
        }
        result
    }

    fn opening_span(self) -> Span {
        tracing::info_span!(
            target: TRACE_TARGET,
            parent: None,
            "channel.open",
            "presence.channel" = self.channel.label(),
            "error.type" = Empty,
        )
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
