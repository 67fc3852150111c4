//! A seeded random number generator, for runs that can be repeated.

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

/// The environment variable with the seed of a run to repeat.
const GIVEN: &str = "PRESENCE_TEST_SEED";

/// A random number generator whose algorithm is named, so that a seed keeps its meaning with later
/// versions of the library.
#[derive(Debug, Clone)]
pub struct SeededRng(Xoshiro256PlusPlus);

impl SeededRng {
    /// Makes a generator with a seed.
    pub fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// Returns the seed of the environment variable, or a random one.
    pub fn seed() -> u64 {
        let given = std::env::var_os(GIVEN).and_then(|seed| seed.to_str()?.parse().ok());
        given.unwrap_or_else(rand::random)
    }

    /// Returns another generator, such as for a task.
    #[must_use]
    pub fn another(&mut self) -> Self {
        Self(self.0.fork())
    }

    /// Returns a number below a bound, which must not be 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0.random_range(..bound)
    }

    /// Returns a number in the inclusive range.
    pub fn between(&mut self, first: usize, last: usize) -> usize {
        self.0.random_range(first..=last)
    }

    /// Returns true in the given percentage of cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// Returns one of several items, of which there must be at least one.
    pub fn pick<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        among.choose(&mut self.0).unwrap()
    }
}
