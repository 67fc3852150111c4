//! The amount of work of a curve.

use std::time::Duration;

/// The amount of work of a curve.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CurveScale {
    /// The number of rounds of each size. They alternate between the sizes.
    pub(crate) rounds: usize,
    /// The duration of a round.
    pub(crate) round: Duration,
    /// The time between two removals of expired rows. It is a minute, and a short run does not wait
    /// for them.
    pub(crate) minute: Duration,
    /// The number of devices that report.
    pub(crate) devices: usize,
    /// The divisor of all sizes.
    divisor: usize,
    /// A flag: a growth that is worse than expected makes the run fail.
    pub(crate) judges: bool,
}

impl CurveScale {
    /// A run that is long enough for a verdict.
    pub(crate) fn full() -> Self {
        let round = Duration::from_secs(1);
        Self {
            rounds: 5,
            round,
            minute: Duration::from_mins(1),
            devices: 100,
            divisor: 1,
            judges: true,
        }
    }

    /// A run of a few seconds that checks that the curves work.
    pub(crate) fn smoke() -> Self {
        let round = Duration::from_millis(20);
        Self { rounds: 1, round, minute: round, devices: 4, divisor: 100, judges: false }
    }

    /// Returns these sizes, or in a short run as many that are small and different.
    pub(crate) fn sizes<const N: usize>(&self, sizes: [usize; N]) -> [usize; N] {
        let mut before = 0;
        sizes.map(|size| {
            before = (size / self.divisor).max(before + 1);
            before
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_a_short_run_are_small_and_grow() {
        assert_eq!(CurveScale::full().sizes([1, 10, 500]), [1, 10, 500]);
        assert_eq!(CurveScale::smoke().sizes([1, 10, 100, 1_000]), [1, 2, 3, 10]);
    }
}
