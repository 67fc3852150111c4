//! The task that sends spans in batches, and says when that begins to fail and when it works again.

use std::time::Duration;

use opentelemetry_sdk::trace::SpanData;
use tokio::sync::mpsc::Receiver;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::collector::{Collector, CollectorError};
use crate::meter::{self, SpanOutcome};

/// The maximum number of spans of a batch.
const BATCH: usize = 512;
/// The time for which the first span of a batch waits for others.
const INTERVAL: Duration = Duration::from_secs(1);
/// The number of times that a batch is sent, if the collector is only away for a moment.
const ATTEMPTS: u32 = 3;
/// The pause after a batch was not taken.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// The task that sends spans.
pub(super) struct Exporter {
    spans: Receiver<SpanData>,
    collector: Collector,
    /// The number of spans that were lost since the collector stopped to take them.
    lost: Option<u64>,
}

impl Exporter {
    pub(super) fn new(spans: Receiver<SpanData>, collector: Collector) -> Self {
        Self { spans, collector, lost: None }
    }

    /// Sends spans until `stop`, and then those that wait.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        loop {
            let mut batch = Vec::new();
            self.gather(&mut batch, &stop).await;
            if stop.is_cancelled() {
                self.take_waiting(&mut batch);
            }
            if batch.is_empty() {
                return;
            }
            self.export(batch, &stop).await;
        }
    }

    /// Waits for the first span of a batch, and then a short time for others.
    async fn gather(&mut self, batch: &mut Vec<SpanData>, stop: &CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = self.spans.recv_many(batch, BATCH) => {}
        }
        let interval = sleep(INTERVAL);
        tokio::pin!(interval);
        while batch.len() < BATCH {
            let room = BATCH - batch.len();
            tokio::select! {
                () = stop.cancelled() => return,
                () = &mut interval => return,
                received = self.spans.recv_many(batch, room) => if received == 0 { return },
            }
        }
    }

    /// Adds spans that wait, without waiting for more.
    fn take_waiting(&mut self, batch: &mut Vec<SpanData>) {
        while batch.len() < BATCH {
            let Ok(span) = self.spans.try_recv() else { return };
            batch.push(span);
        }
    }

    /// Sends a batch, several times if need be.
    async fn export(&mut self, batch: Vec<SpanData>, stop: &CancellationToken) {
        let spans = batch.len() as u64;
        let message = self.collector.message(batch);
        for attempt in 1..=ATTEMPTS {
            match self.collector.send(&message).await {
                Ok(rejected) => return self.record_taken(spans, rejected),
                Err(error) => {
                    self.record_failure(error);
                    if !error.is_temporary() || stop.is_cancelled() || attempt == ATTEMPTS {
                        return self.record_lost(spans);
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(RETRY_DELAY) => {}
            }
        }
    }

    fn record_taken(&mut self, spans: u64, rejected: u64) {
        let rejected = rejected.min(spans);
        meter::count_spans(SpanOutcome::Sent, spans - rejected);
        meter::count_spans(SpanOutcome::Failed, rejected);
        if let Some(lost) = self.lost.take() {
            tracing::info!(lost, "traces.sent: the collector takes spans again");
        }
    }

    /// Logs one line when the collector stops to take spans, and not one for each batch.
    fn record_failure(&mut self, error: CollectorError) {
        if self.lost.is_none() {
            self.lost = Some(0);
            tracing::warn!(%error, "traces.failed: spans are lost until the collector takes them");
        }
    }

    fn record_lost(&mut self, spans: u64) {
        meter::count_spans(SpanOutcome::Failed, spans);
        self.lost = self.lost.map(|lost| lost + spans);
    }
}
