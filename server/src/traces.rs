//! Traces: the spans of calls, channels, batches and fetches, which are sent to a collector by OTLP
//! over HTTP, if its URL is set. Without it there is no layer, and no such span is made.
//!
//! Only spans with the target [`TRACE_TARGET`] are exported, and no line of the log. An export
//! never delays what it is about: spans wait in a bounded queue, and are dropped and counted beyond
//! it. The collector's URL is the operator's choice, so its address is not checked as those of
//! other fetches are. The variables `OTEL_…`, which platforms set for all programs, are not read:
//! traces begin by a setting of this server only.
//!
//! The modules in reading order: the task that sends ([`exporter`]), the queue before it
//! ([`queue`]), the requests to the collector ([`collector`]), and the context that a proxy gives
//! ([`remote_parent`]).

mod exporter;

mod queue;

mod collector;

pub(crate) mod remote_parent;

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, SpanLimits};
use presence_core::TRACE_TARGET;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Metadata;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::{Layer, Registry};

use self::collector::Collector;
use self::exporter::Exporter;
use self::queue::SpanQueue;
use crate::settings::Settings;

/// The maximum number of spans that wait to be sent.
const QUEUE: usize = 2048;
/// The time that the last spans may take to be sent when the server ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// The export of traces.
pub(crate) struct Traces {
    tracer: SdkTracer,
    exporter: Exporter,
}

/// The running task that sends spans.
pub(crate) struct RunningExport {
    task: TaskTracker,
    stop: CancellationToken,
}

impl Traces {
    /// Prepares the export, if an endpoint is set.
    ///
    /// # Errors
    ///
    /// The reason in one line, if the file with headers cannot be used, or TLS cannot be set up.
    pub(crate) fn configured(settings: &Settings) -> Result<Option<Self>, String> {
        let Some(collector) = Collector::configured(settings)? else { return Ok(None) };
        let (sender, spans) = mpsc::channel(QUEUE);
        // A caller that is trusted decides, and its decision holds for all spans below it.
        let sampler =
            Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.traces_ratio)));
        let provider = SdkTracerProvider::builder()
            .with_span_processor(SpanQueue::new(sender))
            .with_sampler(sampler)
            .with_span_limits(SpanLimits::default())
            .with_resource(Resource::builder_empty().build())
            .build();
        let tracer = provider.tracer("presence");
        Ok(Some(Self { tracer, exporter: Exporter::new(spans, collector) }))
    }

    /// Returns the layer that makes spans.
    pub(crate) fn layer(&self) -> Box<dyn Layer<Registry> + Send + Sync> {
        OpenTelemetryLayer::new(self.tracer.clone())
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_context_activation(false)
            .with_filter(filter_fn(is_traced))
            .boxed()
    }

    /// Starts to send spans.
    pub(crate) fn start(self) -> RunningExport {
        let (task, stop) = (TaskTracker::new(), CancellationToken::new());
        task.spawn(self.exporter.run(stop.clone()));
        task.close();
        RunningExport { task, stop }
    }
}

impl RunningExport {
    /// Sends what waits, for a bounded time.
    pub(crate) async fn finish(self) {
        self.stop.cancel();
        if tokio::time::timeout(FLUSH_TIMEOUT, self.task.wait()).await.is_err() {
            tracing::warn!("traces.lost: the collector did not take the last spans in time");
        }
    }
}

/// Checks the collector of the settings, and asks it whether it takes traces unless this is
/// `offline`. Returns false if none is set.
///
/// # Errors
///
/// The reason in one line.
pub(crate) async fn check(settings: &Settings, offline: bool) -> Result<bool, String> {
    let Some(collector) = Collector::configured(settings)? else { return Ok(false) };
    if !offline {
        let sent = collector.send(&collector.message(Vec::new())).await;
        sent.map_err(|error| format!("traces: {error}"))?;
    }
    Ok(true)
}

/// Returns true for a span that is exported.
fn is_traced(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target() == TRACE_TARGET
}
