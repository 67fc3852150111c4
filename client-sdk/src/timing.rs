//! The time limits of channels and calls.

use std::time::Duration;

use crate::error::Error;

/// The time limits of a channel. The defaults suit phones and back ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// The maximum wait before the first reconnect; by default 1 s. It doubles with each
    /// failure, and the wait is a random part of it (full jitter).
    pub backoff_floor: Duration,
    /// The maximum wait before an attempt, unless the server asks for more; by default 60 s.
    pub backoff_ceiling: Duration,
    /// The time for which a connection must last before the backoff starts again; by default 30 s.
    pub stable_after: Duration,
    /// The time without a frame from the server after which a ping is sent; by default 30 s. After
    /// twice this time the connection counts as lost.
    pub heartbeat: Duration,
    /// The time limit of connecting, with the handshakes and the first reply; by default 10 s.
    pub connect_timeout: Duration,
    /// The time limit of a request, including reconnects; by default 30 s.
    pub request_timeout: Duration,
    /// The time limit of the reply to a ping after a change of the network, or after the app came
    /// to the foreground; by default 5 s.
    pub probe_timeout: Duration,
}

/// The minimum of a time limit. It prevents busy loops.
const MIN: Duration = Duration::from_millis(1);
/// The maximum of a time limit. It prevents overflows of deadlines.
const MAX: Duration = Duration::from_hours(24 * 365);

impl Timing {
    /// Checks that each time limit is between the minimum and the maximum.
    pub(crate) fn check(&self) -> Result<(), Error> {
        for (name, time) in [
            ("backoff_floor", self.backoff_floor),
            ("backoff_ceiling", self.backoff_ceiling),
            ("heartbeat", self.heartbeat),
            ("connect_timeout", self.connect_timeout),
            ("request_timeout", self.request_timeout),
            ("probe_timeout", self.probe_timeout),
        ] {
            if !(MIN..=MAX).contains(&time) {
                let reason = format!("{name} must be between a millisecond and a year");
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
    fn a_time_limit_that_is_too_short_or_too_long_is_refused() {
        assert_eq!(Timing::default().check(), Ok(()));
        for heartbeat in [Duration::ZERO, Duration::MAX] {
            assert!(Timing { heartbeat, ..Timing::default() }.check().is_err());
        }
        for backoff_floor in [Duration::ZERO, Duration::MAX] {
            assert!(Timing { backoff_floor, ..Timing::default() }.check().is_err());
        }
    }
}
