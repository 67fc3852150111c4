//! The wait before a reconnect: exponential, with full jitter.

use std::time::Duration;

use crate::timing::Timing;

/// The source of the random part of a wait: returns a number from 0 to 1. Tests pass their own.
pub(crate) type Jitter = fn() -> f64;

/// The wait after each of several failures in a row.
#[derive(Debug)]
pub(crate) struct Backoff {
    floor: Duration,
    ceiling: Duration,
    failures: u32,
    jitter: Jitter,
}

impl Backoff {
    pub(crate) fn new(timing: &Timing, jitter: Jitter) -> Self {
        let (floor, ceiling) = (timing.backoff_floor, timing.backoff_ceiling);
        Self { floor, ceiling, failures: 0, jitter }
    }

    /// Returns the wait after one more failure: a random part of a limit that doubles up to the
    /// ceiling, in addition to the wait that the server requested.
    pub(crate) fn after_failure(&mut self, requested: Option<Duration>) -> Duration {
        let limit = self.floor.saturating_mul(2_u32.saturating_pow(self.failures));
        self.failures = self.failures.saturating_add(1);
        requested.unwrap_or_default() + limit.min(self.ceiling).mul_f64((self.jitter)())
    }

    /// Returns the wait after a hint that a connection is likely to succeed now. It is short, and
    /// still random, because many clients may get the same hint.
    pub(crate) fn after_hint(&self) -> Duration {
        self.floor.min(self.ceiling).mul_f64((self.jitter)())
    }

    /// Resets the number of failures.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Returns the number of failures in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_limit_doubles_up_to_the_ceiling_and_starts_again_after_a_reset() {
        let mut backoff = Backoff::new(&Timing::default(), || 1.0);
        let waits: Vec<u64> = (0..8).map(|_| backoff.after_failure(None).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        backoff.reset();
        assert_eq!(backoff.after_failure(None), Duration::from_secs(1));
    }

    proptest! {
        #[test]
        fn a_wait_is_at_least_the_requested_one_and_at_most_the_ceiling_longer(
            attempts in 1..100_usize, requested in 0_u64..100_000,
        ) {
            let mut backoff = Backoff::new(&Timing::default(), rand::random);
            let requested = Duration::from_millis(requested);
            for _ in 0..attempts {
                let wait = backoff.after_failure(Some(requested));
                prop_assert!(wait >= requested && wait <= requested + Duration::from_mins(1));
                prop_assert!(backoff.after_hint() <= Duration::from_secs(1));
            }
        }
    }
}
