//! How long to wait before coming back: exponential, with full jitter.

use std::time::Duration;

use crate::timing::Timing;

/// Counts failures in a row, and makes waits of them.
#[derive(Debug)]
pub(crate) struct Backoff {
    floor: Duration,
    ceiling: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(timing: &Timing) -> Self {
        Self { floor: timing.backoff_floor, ceiling: timing.backoff_ceiling, failures: 0 }
    }

    /// The wait after one more failure: a random part (`random`, from 0 to 1) of a limit that doubles up to the ceiling, on
    /// top of what the server asked for.
    pub(crate) fn after_failure(&mut self, random: f64, asked: Option<Duration>) -> Duration {
        let limit = self.floor.saturating_mul(2_u32.saturating_pow(self.failures));
        self.failures = self.failures.saturating_add(1);
        asked.unwrap_or_default() + limit.min(self.ceiling).mul_f64(random)
    }

    /// The wait where something says that now is a good moment: short, and still random, since everybody hears of it.
    pub(crate) fn hinted(&self, random: f64) -> Duration {
        self.floor.min(self.ceiling).mul_f64(random)
    }

    /// A stable while has passed.
    pub(crate) fn forget(&mut self) {
        self.failures = 0;
    }

    /// How many failures in a row there were.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn backoff() -> Backoff {
        Backoff::new(&Timing::default())
    }

    #[test]
    fn the_limit_doubles_up_to_the_ceiling_and_begins_anew_when_forgotten() {
        let mut backoff = backoff();
        let waits: Vec<u64> = (0..8).map(|_| backoff.after_failure(1.0, None).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        backoff.forget();
        assert_eq!(backoff.after_failure(1.0, None), Duration::from_secs(1));
    }

    proptest! {
        #[test]
        fn a_wait_is_never_shorter_than_asked_nor_longer_than_the_ceiling_more(
            randoms in proptest::collection::vec(0.0..1.0_f64, 1..100), asked in 0_u64..100_000,
        ) {
            let mut backoff = backoff();
            let asked = Duration::from_millis(asked);
            for random in randoms {
                let wait = backoff.after_failure(random, Some(asked));
                prop_assert!(wait >= asked && wait <= asked + Duration::from_secs(60));
                prop_assert!(backoff.hinted(random) <= Duration::from_secs(1));
            }
        }
    }
}
