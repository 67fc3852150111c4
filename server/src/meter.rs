//! The metrics of the sockets and of HTTP. Labels are channels, outcomes and errnos, never ids,
//! names or e-mails.
//!
//! Each handle is created once, at the start: a frame looks nothing up, and a counter that has not
//! counted yet reads as 0.

mod database;
mod descriptions;
mod number;
mod process;

use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use poem::http::StatusCode;
use presence_core::UnixMillis;
use presence_protocol::Errno;
use presence_service::PresenceService;
use presence_service::clock::Stopwatch;
use tokio_util::sync::CancellationToken;

use self::database::DatabaseMeter;
use self::process::ProcessMeter;
use crate::logging;

/// The upper bounds of most histograms, in seconds.
const DURATION_BUCKETS: &[f64] = &[
    0.000_01, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1,
    0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// The upper bounds of the histogram that includes the grace time, in seconds.
const OFFLINE_BUCKETS: &[f64] =
    &[0.5, 1.0, 5.0, 10.0, 10.5, 11.0, 12.0, 15.0, 20.0, 30.0, 60.0, 120.0];
/// The upper bounds of histograms of counts.
const SIZE_BUCKETS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0];
/// The interval at which histograms sum up their samples, so that they do not grow while no one
/// reads the metrics.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(1);

/// A channel, as a label of metrics and in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    /// The Device Presence Channel.
    Device,
    /// The AppService Presence Channel.
    App,
}

impl Channel {
    /// Returns the text of the label.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::App => "app",
        }
    }
}

/// The metrics of one channel.
pub(crate) struct ChannelMeter {
    connections: Gauge,
    opened: Counter,
    received: Counter,
    frame_seconds: Histogram,
    pub(crate) sent: Counter,
}

impl ChannelMeter {
    pub(crate) fn new(channel: Channel) -> Self {
        let channel = channel.label();
        Self {
            connections: gauge!("presence_connections", "channel" => channel),
            opened: counter!("presence_connections_opened_total", "channel" => channel),
            received: counter!("presence_frames_received_total", "channel" => channel),
            frame_seconds: histogram!("presence_frame_seconds", "channel" => channel),
            sent: counter!("presence_frames_sent_total", "channel" => channel),
        }
    }

    /// Counts a connection as open until the result is dropped.
    pub(crate) fn count_connection(&self) -> CountedConnection {
        self.opened.increment(1);
        self.connections.increment(1.0);
        CountedConnection(self.connections.clone())
    }

    /// Counts a received frame, and records the time that the work on it takes.
    pub(crate) fn record_frame(&self, work: impl FnOnce()) {
        self.received.increment(1);
        let started = Stopwatch::start();
        work();
        self.frame_seconds.record(started.elapsed().as_secs_f64());
    }
}

/// A connection that is counted as open.
pub(crate) struct CountedConnection(Gauge);

impl Drop for CountedConnection {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// The result of an ended span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpanOutcome {
    /// The collector has taken it.
    Sent,
    /// There was no room for it in the queue.
    Dropped,
    /// The collector did not take it.
    Failed,
}

/// The metrics that belong to no single channel.
struct ServerMeter {
    errors: Vec<(Errno, Counter)>,
    responses: [Counter; 5],
    response_seconds: Histogram,
    handshakes: OutcomeCounters,
    certificate_reloads: OutcomeCounters,
    acme_orders: OutcomeCounters,
    certificate_end: Gauge,
    accept_failures: Counter,
    log_lines_dropped: Counter,
    spans: [(SpanOutcome, Counter); 3],
    draining: Gauge,
    warming_up: Gauge,
}

/// The counters of successes and failures.
struct OutcomeCounters {
    ok: Counter,
    failed: Counter,
}

impl OutcomeCounters {
    fn new(name: &'static str) -> Self {
        Self {
            ok: counter!(name, "outcome" => "ok"),
            failed: counter!(name, "outcome" => "failed"),
        }
    }

    fn count(&self, succeeded: bool) {
        if succeeded { self.ok.increment(1) } else { self.failed.increment(1) }
    }
}

static METER: LazyLock<ServerMeter> = LazyLock::new(ServerMeter::new);

impl ServerMeter {
    fn new() -> Self {
        let error =
            |errno: &Errno| (*errno, counter!("presence_ko_total", "errno" => errno.name()));
        let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"];
        Self {
            errors: Errno::ALL.iter().map(error).collect(),
            responses: classes
                .map(|class| counter!("presence_http_answers_total", "status" => class)),
            response_seconds: histogram!("presence_http_seconds"),
            handshakes: OutcomeCounters::new("presence_tls_handshakes_total"),
            certificate_reloads: OutcomeCounters::new("presence_tls_reloads_total"),
            acme_orders: OutcomeCounters::new("presence_acme_orders_total"),
            certificate_end: gauge!("presence_tls_certificate_expires_seconds"),
            accept_failures: counter!("presence_accept_failures_total"),
            log_lines_dropped: counter!("presence_log_lines_dropped_total"),
            spans: [
                (SpanOutcome::Sent, "sent"),
                (SpanOutcome::Dropped, "dropped"),
                (SpanOutcome::Failed, "failed"),
            ]
            .map(|(outcome, label)| {
                (outcome, counter!("presence_trace_spans_total", "outcome" => label))
            }),
            draining: gauge!("presence_draining"),
            warming_up: gauge!("presence_warming_up"),
        }
    }
}

/// Counts an error that is sent to a client.
pub(crate) fn count_error(errno: Errno) {
    if let Some((_, counter)) = METER.errors.iter().find(|(known, _)| *known == errno) {
        counter.increment(1);
    }
}

/// Counts a response over HTTP, including an upgrade to a socket, and records its time.
pub(crate) fn record_response(status: StatusCode, elapsed: Duration) {
    let class = usize::from(status.as_u16() / 100).saturating_sub(1);
    if let Some(counter) = METER.responses.get(class) {
        counter.increment(1);
    }
    METER.response_seconds.record(elapsed.as_secs_f64());
}

/// Counts a TLS handshake.
pub(crate) fn count_handshake(succeeded: bool) {
    METER.handshakes.count(succeeded);
}

/// Counts a reload of the certificate.
pub(crate) fn count_certificate_reload(succeeded: bool) {
    METER.certificate_reloads.count(succeeded);
}

/// Counts an order of a certificate.
pub(crate) fn count_acme_order(succeeded: bool) {
    METER.acme_orders.count(succeeded);
}

/// Records the end of the validity of the certificate.
pub(crate) fn set_certificate_end(end: UnixMillis) {
    METER.certificate_end.set(number::to_f64(end.as_secs()));
}

/// Counts a connection that could not be accepted.
pub(crate) fn count_accept_failure() {
    METER.accept_failures.increment(1);
}

/// Counts ended spans of traces.
pub(crate) fn count_spans(outcome: SpanOutcome, spans: u64) {
    if let Some((_, counter)) = METER.spans.iter().find(|(known, _)| *known == outcome) {
        counter.increment(spans);
    }
}

/// The exporter of all metrics in the text format of Prometheus.
#[derive(Clone)]
pub(crate) struct MetricsExporter {
    handle: PrometheusHandle,
    process: ProcessMeter,
    database: DatabaseMeter,
}

impl MetricsExporter {
    /// Installs the exporter for the process and the database with a URL. A second one in the same
    /// process exports nothing.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if the buckets of a histogram are invalid.
    pub(crate) fn install(
        (version, commit): (&'static str, &'static str),
        database: &str,
    ) -> Result<Self, BuildError> {
        let named = |name: &str| Matcher::Full(name.to_owned());
        let recorder = PrometheusBuilder::new()
            .set_buckets(DURATION_BUCKETS)?
            .set_buckets_for_metric(named("presence_time_to_offline_seconds"), OFFLINE_BUCKETS)?
            .set_buckets_for_metric(named("presence_commit_requests"), SIZE_BUCKETS)?
            .build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::debug!("another recorder is installed already");
        }
        descriptions::register();
        LazyLock::force(&METER);
        gauge!("presence_build_info", "version" => version, "commit" => commit).set(1.0);
        Ok(Self { handle, process: ProcessMeter::start(), database: DatabaseMeter::new(database) })
    }

    /// Sums up the samples of histograms at an interval, until `stop`.
    pub(crate) async fn run_upkeep(&self, stop: CancellationToken) {
        while tokio::time::timeout(UPKEEP_INTERVAL, stop.cancelled()).await.is_err() {
            self.handle.run_upkeep();
        }
    }

    /// Returns all metrics, with the current values of the gauges.
    pub(crate) async fn render(&self, service: &PresenceService, is_draining: bool) -> String {
        service.update_gauges();
        METER.log_lines_dropped.absolute(logging::dropped_lines());
        METER.draining.set(f64::from(u8::from(is_draining)));
        METER.warming_up.set(f64::from(u8::from(service.is_warming_up())));
        let (process, database) = (self.process.clone(), self.database.clone());
        // The list of open files is long with many sockets, which other tasks must not wait for.
        let read = tokio::task::spawn_blocking(move || {
            process.update();
            database.update();
        });
        // If the reading fails, the metrics keep their last values.
        read.await.ok();
        self.handle.run_upkeep();
        self.handle.render()
    }
}

impl fmt::Debug for MetricsExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MetricsExporter")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number of samples that takes a measurable time to sum up.
    const SAMPLES: usize = 3_000_000;

    #[tokio::test]
    async fn samples_are_summed_up_although_the_metrics_are_never_read() {
        let builder = PrometheusBuilder::new().set_buckets(DURATION_BUCKETS).unwrap();
        let recorder = builder.build_recorder();
        let exporter = MetricsExporter {
            handle: recorder.handle(),
            process: ProcessMeter::start(),
            database: DatabaseMeter::new(""),
        };
        let histogram = metrics::with_local_recorder(&recorder, || histogram!("work_seconds"));
        let sum_up = || {
            let started = Stopwatch::start();
            exporter.handle.run_upkeep();
            started.elapsed()
        };
        (0..SAMPLES).for_each(|_| histogram.record(0.001));
        let full = sum_up();
        (0..SAMPLES).for_each(|_| histogram.record(0.001));
        let upkeep = tokio::time::timeout(
            UPKEEP_INTERVAL * 3 / 2,
            exporter.run_upkeep(CancellationToken::new()),
        );
        upkeep.await.unwrap_err();
        let rest = sum_up();
        assert!(rest < full / 2, "samples were left: {rest:?} after {full:?}");
        let counted = format!("work_seconds_count {}", 2 * SAMPLES);
        let rendered = exporter.handle.render();
        assert!(rendered.contains(&counted), "{rendered}");
    }
}
