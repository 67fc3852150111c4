//! Who has ignored `slow_down` for too long.

use crate::model::Millis;

/// Counts refusals in a window of time.
#[derive(Debug, Default)]
pub struct ViolationWindow {
    since: Millis,
    refusals: u32,
}

impl ViolationWindow {
    /// Refusals in one window that end a connection.
    pub const REFUSALS: u32 = 20;
    /// The window, in milliseconds.
    pub const WINDOW: Millis = 10_000;

    /// Counts one refusal; true where it was one too many.
    #[must_use]
    pub fn is_over(&mut self, now: Millis) -> bool {
        if now.saturating_sub(self.since) > Self::WINDOW {
            *self = Self { since: now, refusals: 0 };
        }
        self.refusals += 1;
        self.refusals >= Self::REFUSALS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_twentieth_refusal_within_ten_seconds_is_one_too_many() {
        let mut patience = ViolationWindow::default();
        assert!((0..19).all(|n| !patience.is_over(1_000_000 + n)));
        assert!(patience.is_over(1_009_999));
    }

    #[test]
    fn refusals_far_apart_are_forgiven() {
        let mut patience = ViolationWindow::default();
        assert!((1..100).all(|n| !patience.is_over(1_000_000 + n * 1_000)));
    }
}
