//! How long everything may take.

use std::time::Duration;

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

impl Default for Timing {
    fn default() -> Self {
        Self {
            backoff_floor: Duration::from_secs(1),
            backoff_ceiling: Duration::from_secs(60),
            stable_after: Duration::from_secs(30),
            heartbeat: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            probe_timeout: Duration::from_secs(5),
        }
    }
}
