//! The clock of the server, which tests replace, and the type of monotonic times.
//!
//! Wall-clock time is [`UnixMillis`]: it can jump, and is for what clients, tables and pages see.
//! Monotonic time is [`Steady`]: it never goes back, and is for deadlines inside the process.

use std::num::NonZeroU64;
use std::ops::{Add, Sub};
use std::time::Duration;

use presence_protocol::UnixMillis;

/// The source of time, so that tests can control it.
pub trait Clock: Send + Sync {
    /// Returns the wall-clock time. It can jump, in both directions.
    fn now(&self) -> UnixMillis;

    /// Returns the monotonic time, for deadlines. It is unrelated to the wall-clock time.
    fn steady(&self) -> Steady;
}

/// A monotonic time in nanoseconds since the start of its clock.
///
/// A time and a [`Duration`] give a time, two times give a duration, and nothing else is defined.
/// All arithmetic saturates. Times of different clocks must not be compared.
///
/// ```
/// use std::time::Duration;
/// use presence_core::Steady;
///
/// let deadline = Steady::default() + Duration::from_secs(2);
/// assert_eq!(deadline - Steady::default(), Duration::from_secs(2));
/// assert_eq!(Steady::default() - deadline, Duration::ZERO);
/// ```
///
/// Monotonic and wall-clock times do not mix:
///
/// ```compile_fail
/// use presence_core::{Steady, UnixMillis};
/// let _ = Steady::default() < UnixMillis::new(1);
/// ```
///
/// ```compile_fail
/// use presence_core::{Steady, UnixMillis};
/// let _ = UnixMillis::new(1) - Steady::default();
/// ```
///
/// ```compile_fail
/// use presence_core::{Steady, UnixMillis};
/// let deadline: UnixMillis = Steady::default();
/// ```
///
/// ```compile_fail
/// use presence_core::Steady;
/// let _ = Steady::default() + 2_000;
/// ```
// One more than the number of nanoseconds: so an `Option` of it needs no more memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Steady(NonZeroU64);

impl Default for Steady {
    fn default() -> Self {
        Self::from_start(Duration::ZERO)
    }
}

impl Steady {
    /// Returns the time at which a clock has run for `elapsed`.
    pub fn from_start(elapsed: Duration) -> Self {
        Self(NonZeroU64::MIN.saturating_add(whole_nanos(elapsed)))
    }

    /// Returns the time since the start of the clock.
    pub const fn since_start(self) -> Duration {
        Duration::from_nanos(self.0.get() - 1)
    }
}

/// Returns the nanoseconds of a duration, at most `u64::MAX` (584 years).
fn whole_nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Add<Duration> for Steady {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(whole_nanos(duration)))
    }
}

impl Sub for Steady {
    type Output = Duration;

    /// Returns the time from `earlier` to this, zero if `earlier` is later.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }
}

#[cfg(any(test, feature = "test-util"))]
pub use manual::ManualClock;

#[cfg(any(test, feature = "test-util"))]
mod manual {
    use std::sync::{Mutex, PoisonError};

    use super::{Clock, Duration, NonZeroU64, Steady, UnixMillis};

    /// A clock that stands still until a test sets it.
    #[derive(Debug, Default)]
    pub struct ManualClock(Mutex<(UnixMillis, Steady)>);

    impl ManualClock {
        /// Creates a clock with this wall-clock time, and the monotonic time zero.
        pub const fn new(now: UnixMillis) -> Self {
            Self(Mutex::new((now, Steady(NonZeroU64::MIN))))
        }

        /// Sets the wall-clock time. The monotonic time stays.
        pub fn set_now(&self, now: UnixMillis) {
            self.with(|times| times.0 = now);
        }

        /// Sets the monotonic time to that at which the clock has run for `elapsed`. The
        /// wall-clock time stays.
        pub fn set_steady(&self, elapsed: Duration) {
            self.with(|times| times.1 = Steady::from_start(elapsed));
        }

        /// Lets time pass on both scales.
        pub fn advance(&self, duration: Duration) {
            self.with(|times| *times = (times.0 + duration, times.1 + duration));
        }

        fn with<T>(&self, read_or_change: impl FnOnce(&mut (UnixMillis, Steady)) -> T) -> T {
            read_or_change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
        }
    }

    impl Clock for ManualClock {
        fn now(&self) -> UnixMillis {
            self.with(|times| times.0)
        }

        fn steady(&self) -> Steady {
            self.with(|times| times.1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let late = Steady::default() + Duration::MAX;
        assert_eq!(late + Duration::from_secs(1), late);
        assert_eq!(Steady::default() - late, Duration::ZERO);
    }

    #[test]
    fn the_scales_of_a_manual_clock_are_set_apart_and_advance_together() {
        let clock = ManualClock::new(UnixMillis::new(5));
        clock.set_now(UnixMillis::new(2));
        assert_eq!(clock.steady(), Steady::default());
        clock.advance(Duration::from_millis(3));
        assert_eq!(clock.now(), UnixMillis::new(5));
        assert_eq!(clock.steady().since_start(), Duration::from_millis(3));
        clock.set_steady(Duration::from_millis(1));
        assert_eq!(clock.now(), UnixMillis::new(5));
    }
}
