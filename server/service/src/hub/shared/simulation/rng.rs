//! A seeded random number generator, so that a run can be repeated.
//!
//! It has the algorithm of the generator of the whole-system tests (`presence-tests`). That one is
//! not used, since its package needs the SDK, which this crate does not know.

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

/// A random number generator whose algorithm is named, so that a seed keeps its meaning with later
/// versions of the library.
pub(super) struct SeededRng(Xoshiro256PlusPlus);

impl SeededRng {
    pub(super) fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// Returns a number below a bound, which must not be 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0.random_range(..bound)
    }

    /// Returns true in so many of a thousand cases.
    pub(super) fn permille(&mut self, cases: usize) -> bool {
        self.below(1_000) < cases
    }

    /// Returns one of several items, of which there must be at least one.
    pub(super) fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        *among.choose(&mut self.0).unwrap()
    }

    /// Returns 128 random bits.
    pub(super) fn bits(&mut self) -> u128 {
        self.0.random()
    }
}
