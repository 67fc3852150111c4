//! The limit of the attempts that hints restart.

use std::time::Duration;

use tokio::time::Instant;

/// The time that an attempt to connect usually needs. A hint restarts only an attempt that has
/// taken longer.
const USUAL_ATTEMPT: Duration = Duration::from_millis(300);

/// The time from which a hint restarts an attempt that hangs. It grows with each restart, so that
/// many hints do not keep a slow connection from being made.
#[derive(Debug)]
pub(crate) struct RestartLimit {
    step: Duration,
    restarts: u32,
    earliest: Option<Instant>,
}

impl RestartLimit {
    pub(crate) fn new(step: Duration) -> Self {
        Self { step, restarts: 0, earliest: None }
    }

    /// Returns the time from which a hint restarts an attempt that began at `start`.
    pub(crate) fn earliest(&self, start: Instant) -> Instant {
        let usual = start + USUAL_ATTEMPT;
        self.earliest.map_or(usual, |earliest| earliest.max(usual))
    }

    /// Records a restart.
    pub(crate) fn record(&mut self, now: Instant) {
        let pause = self.step.saturating_mul(2_u32.saturating_pow(self.restarts));
        self.restarts = self.restarts.saturating_add(1);
        self.earliest = now.checked_add(pause);
    }

    /// Forgets the restarts, since a connection was made.
    pub(crate) fn reset(&mut self) {
        (self.restarts, self.earliest) = (0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_hint_restarts_an_attempt_soon_and_further_ones_later_and_later() {
        let step = Duration::from_secs(1);
        let mut limit = RestartLimit::new(step);
        let start = Instant::now();
        assert_eq!(limit.earliest(start), start + USUAL_ATTEMPT);
        let pauses = [1, 2, 4, 8].map(|_| {
            limit.record(start);
            limit.earliest(start) - start
        });
        assert_eq!(pauses, [1, 2, 4, 8].map(Duration::from_secs));
        limit.reset();
        assert_eq!(limit.earliest(start), start + USUAL_ATTEMPT);
    }
}
