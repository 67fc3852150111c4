//! What the sockets and the REST API count. Labels are channels, outcomes and errnos, never ids, names or e-mails.
//!
//! Every handle is made once, at the start: on the way of a frame nothing is looked up, and what has not happened yet reads as 0.

mod described;

use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use poem::http::StatusCode;
use presence_protocol::Errno;
use presence_service::PresenceService;
use presence_service::clock::Stopwatch;
use tokio_util::sync::CancellationToken;

/// Upper bounds of most histograms, in seconds.
const SECONDS: &[f64] = &[
    0.000_01, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1,
    0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// Upper bounds of what includes a grace time, in seconds.
const GRACE_SECONDS: &[f64] =
    &[0.5, 1.0, 5.0, 10.0, 10.5, 11.0, 12.0, 15.0, 20.0, 30.0, 60.0, 120.0];
/// Upper bounds of what is counted.
const SIZES: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0];
/// How often the histograms are summed up, so that they do not grow where nobody reads them.
const UPKEEP: Duration = Duration::from_secs(1);

/// A channel, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    /// The Device Presence Channel.
    Device,
    /// The AppService Presence Channel.
    App,
}

impl Channel {
    /// As a label, and in the log.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::App => "app",
        }
    }
}

/// What is counted of one channel.
pub(crate) struct ChannelMeter {
    connections: Gauge,
    opened: Counter,
    heard: Counter,
    frame_seconds: Histogram,
    pub(crate) said: Counter,
}

impl ChannelMeter {
    pub(crate) fn new(channel: Channel) -> Self {
        let channel = channel.label();
        Self {
            connections: gauge!("presence_connections", "channel" => channel),
            opened: counter!("presence_connections_opened_total", "channel" => channel),
            heard: counter!("presence_frames_received_total", "channel" => channel),
            frame_seconds: histogram!("presence_frame_seconds", "channel" => channel),
            said: counter!("presence_frames_sent_total", "channel" => channel),
        }
    }

    /// Counts a connection until it is dropped.
    pub(crate) fn connection(&self) -> Connection {
        self.opened.increment(1);
        self.connections.increment(1.0);
        Connection(self.connections.clone())
    }

    /// Counts a frame, and the time that the work on it takes.
    pub(crate) fn frame(&self, work: impl FnOnce()) {
        self.heard.increment(1);
        let begun = Stopwatch::start();
        work();
        self.frame_seconds.record(begun.elapsed().as_secs_f64());
    }
}

/// A connection that is counted.
pub(crate) struct Connection(Gauge);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// What is counted for all channels together.
struct Meters {
    kos: Vec<(Errno, Counter)>,
    answers: [Counter; 5],
    answer_seconds: Histogram,
    handshakes: Outcomes,
    certificates: Outcomes,
    draining: Gauge,
    warming_up: Gauge,
}

/// What went well and what did not.
struct Outcomes {
    ok: Counter,
    failed: Counter,
}

impl Outcomes {
    fn of(name: &'static str) -> Self {
        Self {
            ok: counter!(name, "outcome" => "ok"),
            failed: counter!(name, "outcome" => "failed"),
        }
    }

    fn count(&self, went_well: bool) {
        if went_well { self.ok.increment(1) } else { self.failed.increment(1) }
    }
}

static METERS: LazyLock<Meters> = LazyLock::new(Meters::new);

impl Meters {
    fn new() -> Self {
        let ko = |errno: &Errno| (*errno, counter!("presence_ko_total", "errno" => errno.name()));
        let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"];
        Self {
            kos: Errno::ALL.iter().map(ko).collect(),
            answers: classes
                .map(|class| counter!("presence_http_answers_total", "status" => class)),
            answer_seconds: histogram!("presence_http_seconds"),
            handshakes: Outcomes::of("presence_tls_handshakes_total"),
            certificates: Outcomes::of("presence_tls_reloads_total"),
            draining: gauge!("presence_draining"),
            warming_up: gauge!("presence_warming_up"),
        }
    }
}

/// Counts a refusal.
pub(crate) fn count_error(errno: Errno) {
    if let Some((_, counter)) = METERS.kos.iter().find(|(known, _)| *known == errno) {
        counter.increment(1);
    }
}

/// Counts an answer over HTTP, an upgrade to a socket too, and the time it took.
pub(crate) fn answer(status: StatusCode, took: Duration) {
    let class = usize::from(status.as_u16() / 100).saturating_sub(1);
    if let Some(counter) = METERS.answers.get(class) {
        counter.increment(1);
    }
    METERS.answer_seconds.record(took.as_secs_f64());
}

/// Counts a TLS handshake.
pub(crate) fn handshake(succeeded: bool) {
    METERS.handshakes.count(succeeded);
}

/// Counts a certificate that was taken while the server ran, or that could not be.
pub(crate) fn certificate(taken: bool) {
    METERS.certificates.count(taken);
}

/// What has been counted, as Prometheus reads it.
#[derive(Clone)]
pub(crate) struct MetricsExporter(PrometheusHandle);

impl MetricsExporter {
    /// Starts counting. A second one in the same process counts nothing.
    pub(crate) fn install(version: &'static str, commit: &'static str) -> Result<Self, BuildError> {
        let whole = |name: &str| Matcher::Full(name.to_owned());
        let recorder = PrometheusBuilder::new()
            .set_buckets(SECONDS)?
            .set_buckets_for_metric(whole("presence_time_to_offline_seconds"), GRACE_SECONDS)?
            .set_buckets_for_metric(whole("presence_commit_requests"), SIZES)?
            .build_recorder();
        let exporter = Self(recorder.handle());
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::debug!("another recorder counts already");
        }
        described::describe();
        LazyLock::force(&METERS);
        gauge!("presence_build_info", "version" => version, "commit" => commit).set(1.0);
        Ok(exporter)
    }

    /// Sums up from time to time, until it is told to stop.
    pub(crate) async fn keep(&self, stop: CancellationToken) {
        while tokio::time::timeout(UPKEEP, stop.cancelled()).await.is_err() {
            self.0.run_upkeep();
        }
    }

    /// Everything counted so far, with what is looked up only now.
    pub(crate) fn render(&self, presence: &PresenceService, is_draining: bool) -> String {
        presence.update_gauges();
        METERS.draining.set(f64::from(u8::from(is_draining)));
        METERS.warming_up.set(f64::from(u8::from(presence.is_warming_up())));
        self.0.run_upkeep();
        self.0.render()
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

    /// So many samples that it takes a while to sum them up.
    const MANY: usize = 3_000_000;

    #[tokio::test]
    async fn samples_are_summed_up_though_nobody_reads_them() {
        let builder = PrometheusBuilder::new().set_buckets(SECONDS).unwrap();
        let recorder = builder.build_recorder();
        let exporter = MetricsExporter(recorder.handle());
        let histogram = metrics::with_local_recorder(&recorder, || histogram!("work_seconds"));
        let sum_up = || {
            let begun = Stopwatch::start();
            exporter.0.run_upkeep();
            begun.elapsed()
        };
        (0..MANY).for_each(|_| histogram.record(0.001));
        let much = sum_up();
        (0..MANY).for_each(|_| histogram.record(0.001));
        let kept = tokio::time::timeout(UPKEEP * 3 / 2, exporter.keep(CancellationToken::new()));
        kept.await.unwrap_err();
        let little = sum_up();
        assert!(little < much / 2, "as much was left: {little:?} after {much:?}");
        let counted = format!("work_seconds_count {}", 2 * MANY);
        assert!(exporter.0.render().contains(&counted), "{}", exporter.0.render());
    }
}
