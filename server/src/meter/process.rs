//! The metrics of the process, with the names that Prometheus gives them for every program.

use metrics::gauge;
use metrics_process::Collector;
use presence_core::Clock as _;
use presence_service::clock::SystemClock;

use super::number::to_f64;

/// The reader of the metrics of the process.
#[derive(Clone)]
pub(super) struct ProcessMeter(Collector);

impl ProcessMeter {
    /// Starts to measure the process.
    pub(super) fn start() -> Self {
        // A service that may not read `/proc/stat` cannot find out when it was started.
        let now = SystemClock::default().now();
        gauge!("process_start_time_seconds").set(to_f64(now.as_secs()));
        Self(Collector::default())
    }

    /// Updates the metrics.
    pub(super) fn update(&self) {
        self.0.collect();
    }
}
