//! What the sockets and the REST API count. Labels are channels and errnos, never ids or e-mails.

use std::fmt;

use metrics::{Counter, Gauge, counter, gauge};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use presence_protocol::Errno;

/// Upper bounds of the histograms, in seconds.
const SECONDS: &[f64] =
    &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// A channel, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    /// The Device Presence Channel.
    Device,
    /// The AppService Presence Channel.
    App,
}

impl Channel {
    const fn label(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::App => "app",
        }
    }
}

/// What is counted of one channel.
pub(crate) struct ChannelMeter {
    connections: Gauge,
    pub(crate) heard: Counter,
    pub(crate) said: Counter,
}

impl ChannelMeter {
    pub(crate) fn new(channel: Channel) -> Self {
        let channel = channel.label();
        Self {
            connections: gauge!("presence_connections", "channel" => channel),
            heard: counter!("presence_frames_received_total", "channel" => channel),
            said: counter!("presence_frames_sent_total", "channel" => channel),
        }
    }

    /// Counts a connection until it is dropped.
    pub(crate) fn connection(&self) -> Connection {
        self.connections.increment(1.0);
        Connection(self.connections.clone())
    }
}

/// A connection that is counted.
pub(crate) struct Connection(Gauge);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// Counts a refusal.
pub(crate) fn ko(errno: Errno) {
    counter!("presence_ko_total", "errno" => errno.name()).increment(1);
}

/// What has been counted, as Prometheus reads it.
#[derive(Clone)]
pub(crate) struct Exporter(PrometheusHandle);

impl Exporter {
    /// Starts counting. A second one in the same process counts nothing.
    pub(crate) fn start() -> Result<Self, BuildError> {
        let recorder = PrometheusBuilder::new().set_buckets(SECONDS)?.build_recorder();
        let exporter = Self(recorder.handle());
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::debug!("another recorder counts already");
        }
        Ok(exporter)
    }

    /// Everything counted so far, with what is looked up only now.
    pub(crate) fn render(&self, presence: &presence_service::Presence) -> String {
        presence.measure();
        self.0.run_upkeep();
        self.0.render()
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exporter")
    }
}
