//! Who has ignored `slow_down` for too long.

use std::time::Duration;

use crate::clock::Steady;

/// Counts refusals in a window of time.
#[derive(Debug, Default)]
pub struct ViolationWindow {
    since: Steady,
    refusals: u32,
}

impl ViolationWindow {
    /// Refusals in one window that end a connection.
    pub const REFUSALS: u32 = 20;
    /// The length of the window.
    pub const WINDOW: Duration = Duration::from_secs(10);

    /// Counts one refusal; true where it was one too many.
    #[must_use]
    pub fn is_over(&mut self, now: Steady) -> bool {
        if now - self.since > Self::WINDOW {
            *self = Self { since: now, refusals: 0 };
        }
        self.refusals += 1;
        self.refusals >= Self::REFUSALS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Steady {
        Steady::from_start(Duration::from_millis(millis))
    }

    #[test]
    fn the_twentieth_refusal_within_ten_seconds_is_one_too_many() {
        let mut patience = ViolationWindow::default();
        assert!((0..19).all(|n| !patience.is_over(at(1_000_000 + n))));
        assert!(patience.is_over(at(1_009_999)));
    }

    #[test]
    fn refusals_far_apart_are_forgiven() {
        let mut patience = ViolationWindow::default();
        assert!((1..100).all(|n| !patience.is_over(at(1_000_000 + n * 1_000))));
    }
}
