//! A seeded random number generator, for runs that can be repeated.

use std::hash::{BuildHasher, Hasher, RandomState};

/// The environment variable with the seed of a run to repeat.
const GIVEN: &str = "PRESENCE_TEST_SEED";

/// A small random number generator (`SplitMix64`). It is not suitable for secrets.
#[derive(Debug, Clone)]
pub struct SeededRng {
    state: u64,
}

impl SeededRng {
    /// Makes a generator with a seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Returns the seed of the environment variable, or a random one.
    pub fn seed() -> u64 {
        let given = std::env::var_os(GIVEN).and_then(|seed| seed.to_str()?.parse().ok());
        given.unwrap_or_else(|| RandomState::new().build_hasher().finish())
    }

    /// Returns another generator, such as for a task.
    #[must_use]
    pub fn another(&mut self) -> Self {
        Self { state: self.next() }
    }

    /// Returns a number below a bound, which must not be 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap();
        usize::try_from(self.next() % bound).unwrap()
    }

    /// Returns a number in the inclusive range.
    pub fn between(&mut self, first: usize, last: usize) -> usize {
        first + self.below(last - first + 1)
    }

    /// Returns true in the given percentage of cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// Returns one of several items, of which there must be at least one.
    pub fn pick<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        let place = self.below(among.len());
        among.get(place).unwrap()
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
