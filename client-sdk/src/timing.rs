//! How long everything may take.

use std::time::Duration;

use crate::error::Error;

/// The times of a channel. The defaults are right for phones and back ends; tests want shorter ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// The most that is waited before the first attempt to come back: 1 s. It doubles with each failure, and the wait is a
    /// random part of it (full jitter).
    pub backoff_floor: Duration,
    /// The most that is ever waited before an attempt, unless the server asks for more: 60 s.
    pub backoff_ceiling: Duration,
    /// After how long a connection the failures before it are forgotten: 30 s.
    pub stable_after: Duration,
    /// After how long a silence the server is asked for a sign of life: 30 s. A server silent for twice as long is gone.
    pub heartbeat: Duration,
    /// How long a connection with its handshakes and its first answer may take: 10 s.
    pub connect_timeout: Duration,
    /// How long a request may take, over reconnects: 30 s.
    pub request_timeout: Duration,
    /// How long a sign of life may take once the network has changed or the app came to the foreground: 5 s.
    pub probe_timeout: Duration,
}

/// The times of a channel lie between these, so that none is a busy loop and none is beyond what a clock can count.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_hours(24 * 365);

impl Timing {
    /// Refuses times that no channel can keep.
    pub(crate) fn check(&self) -> Result<(), Error> {
        for (name, time) in [
            ("backoff_floor", self.backoff_floor),
            ("backoff_ceiling", self.backoff_ceiling),
            ("heartbeat", self.heartbeat),
            ("connect_timeout", self.connect_timeout),
            ("request_timeout", self.request_timeout),
            ("probe_timeout", self.probe_timeout),
        ] {
            if !(SHORTEST..=LONGEST).contains(&time) {
                let reason = format!("{name} must lie between a millisecond and a year");
                return Err(Error::InvalidArgument(reason));
            }
        }
        Ok(())
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            backoff_floor: Duration::from_secs(1),
            backoff_ceiling: Duration::from_mins(1),
            stable_after: Duration::from_secs(30),
            heartbeat: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            probe_timeout: Duration::from_secs(5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_would_be_a_busy_loop_or_beyond_the_clock_is_refused() {
        assert_eq!(Timing::default().check(), Ok(()));
        for heartbeat in [Duration::ZERO, Duration::MAX] {
            assert!(Timing { heartbeat, ..Timing::default() }.check().is_err());
        }
        for backoff_floor in [Duration::ZERO, Duration::MAX] {
            assert!(Timing { backoff_floor, ..Timing::default() }.check().is_err());
        }
    }
}
