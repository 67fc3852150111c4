//! The clock that the running server injects everywhere.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use presence_core::{Clock, Steady, UnixMillis};

/// The clock of the operating system.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    started: Instant,
}

impl Default for SystemClock {
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
