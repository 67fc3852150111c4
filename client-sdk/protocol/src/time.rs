//! Wall-clock time in frames, tables and REST bodies.

use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::lenient::whole_number;

/// A wall-clock time in milliseconds since 1970 UTC. On the wire it is the plain number.
///
/// A [`Duration`] can be added and subtracted, and the difference of two times is a [`Duration`].
/// There is no other arithmetic. All arithmetic saturates.
///
/// ```
/// use std::time::Duration;
/// use presence_protocol::UnixMillis;
///
/// let sent_at = UnixMillis::new(1_800_000_000_000);
/// let expires_at = sent_at + Duration::from_secs(60);
/// assert_eq!(expires_at - sent_at, Duration::from_secs(60));
/// assert_eq!(sent_at - expires_at, Duration::ZERO);
/// ```
///
/// ```compile_fail
/// use presence_protocol::UnixMillis;
/// let _ = UnixMillis::new(1) + UnixMillis::new(1);
/// ```
///
/// ```compile_fail
/// use presence_protocol::UnixMillis;
/// let _ = UnixMillis::new(1) + 1;
/// ```
///
/// ```compile_fail
/// use std::time::Duration;
/// use presence_protocol::UnixMillis;
/// let _ = UnixMillis::new(1) < Duration::from_millis(1);
/// ```
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixMillis(#[serde(deserialize_with = "whole_number")] u64);

impl UnixMillis {
    /// Returns the time that is `millis` milliseconds after the start of 1970 UTC.
    pub const fn new(millis: u64) -> Self {
        Self(millis)
    }

    /// Returns the time that is `seconds` seconds after the start of 1970 UTC.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Returns the milliseconds since the start of 1970 UTC.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Returns the whole seconds since the start of 1970 UTC.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// Returns the time rounded down to a whole second.
    #[must_use]
    pub const fn truncated_to_secs(self) -> Self {
        Self::from_secs(self.as_secs())
    }
}

/// Returns the whole milliseconds of a duration, at most `u64::MAX`.
fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Add<Duration> for UnixMillis {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(whole_millis(duration)))
    }
}

impl Sub<Duration> for UnixMillis {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(whole_millis(duration)))
    }
}

impl Sub for UnixMillis {
    type Output = Duration;

    /// Returns the duration since `earlier`, zero if `earlier` is later.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_plain_number_on_the_wire() {
        let time = UnixMillis::new(1_800_000_000_123);
        assert_eq!(serde_json::to_string(&time).unwrap(), "1800000000123");
        assert_eq!(serde_json::from_str::<UnixMillis>("1800000000123").unwrap(), time);
    }

    #[test]
    fn arithmetic_saturates_at_the_minimum_and_the_maximum() {
        let (first, last) = (UnixMillis::new(0), UnixMillis::new(u64::MAX));
        assert_eq!(first - Duration::from_secs(1), first);
        assert_eq!(last + Duration::MAX, last);
        assert_eq!(first - last, Duration::ZERO);
    }

    #[test]
    fn a_truncated_time_is_a_whole_second() {
        assert_eq!(UnixMillis::new(1_234_567).truncated_to_secs(), UnixMillis::new(1_234_000));
    }
}
