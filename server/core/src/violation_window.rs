//! The limit on how often a client may ignore `slow_down`.

use std::time::Duration;

use crate::clock::Steady;

/// Counts the violations of one connection within a window of time.
#[derive(Debug, Default)]
pub struct ViolationWindow {
    since: Steady,
    violations: u32,
}

impl ViolationWindow {
    /// The number of violations in one window at which the connection is closed.
    pub const LIMIT: u32 = 20;
    /// The length of the window.
    pub const LENGTH: Duration = Duration::from_secs(10);

    /// Counts one violation. Returns true if the limit is reached.
    #[must_use]
    pub fn record(&mut self, now: Steady) -> bool {
        if now - self.since > Self::LENGTH {
            *self = Self { since: now, violations: 0 };
        }
        self.violations += 1;
        self.violations >= Self::LIMIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Steady {
        Steady::from_start(Duration::from_millis(millis))
    }

    #[test]
    fn the_limit_is_twenty_violations_within_ten_seconds() {
        let mut window = ViolationWindow::default();
        assert!((0..19).all(|n| !window.record(at(1_000_000 + n))));
        assert!(window.record(at(1_009_999)));
    }

    #[test]
    fn violations_in_different_windows_do_not_add_up() {
        let mut window = ViolationWindow::default();
        assert!((1..100).all(|n| !window.record(at(1_000_000 + n * 1_000))));
    }
}
