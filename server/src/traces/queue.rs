//! The queue of spans that have ended and wait to be sent.

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use tokio::sync::mpsc::Sender;

use crate::meter::{self, SpanOutcome};

/// Receives the spans that end. It never waits: a span beyond the bound is dropped and counted.
#[derive(Debug)]
pub(super) struct SpanQueue(Sender<SpanData>);

impl SpanQueue {
    pub(super) fn new(spans: Sender<SpanData>) -> Self {
        Self(spans)
    }
}

impl SpanProcessor for SpanQueue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.0.try_send(span).is_err() {
            meter::count_spans(SpanOutcome::Dropped, 1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
