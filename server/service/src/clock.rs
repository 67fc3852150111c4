//! The clock that the running server injects everywhere, and a stopwatch for metrics.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use presence_core::{Clock, Steady, UnixMillis};

/// The clock of the operating system.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    started: Instant,
}

impl Default for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the start of the clock that is injected")]
    fn default() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that is injected everywhere else"
    )]
    fn now(&self) -> UnixMillis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMillis::default() + since
    }

    fn steady(&self) -> Steady {
        Steady::from_start(self.started.elapsed())
    }
}

/// Measures how long something takes, for metrics. No rule may depend on it: rules ask the
/// [`Clock`].
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts to measure.
    #[expect(clippy::disallowed_methods, reason = "metrics measure real time")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Returns the time since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
