//! How much is measured.

use std::time::Duration;

/// How much is measured.
pub(crate) struct Scale {
    /// Rounds of each side.
    pub(crate) rounds: usize,
    /// How long a round of one side lasts, where it is bounded by time.
    pub(crate) round: Duration,
    /// Connections that ask and wait for the answer, one question in flight each.
    pub(crate) connections: usize,
    /// Devices that connect in a round; after all rounds all are there.
    pub(crate) arrivals: usize,
    /// Sockets of the Application to which one status is told.
    pub(crate) sockets: usize,
    /// Turns of a fan-out in a round.
    pub(crate) turns: usize,
    /// Senders of notifications at once.
    pub(crate) senders: usize,
    /// Users to whom notifications are sent; of each, a hundred can wait.
    pub(crate) receivers: usize,
    /// How many files the server at its limit may open.
    pub(crate) files: u64,
    /// Whether a missed gate is a failure.
    pub(crate) judges: bool,
}

impl Scale {
    /// Enough to judge.
    pub(crate) fn full() -> Self {
        Self {
            rounds: 5,
            round: Duration::from_secs(2),
            connections: 100,
            arrivals: 2_000,
            sockets: 100,
            turns: 400,
            senders: 256,
            receivers: 1_000,
            files: 256,
            judges: true,
        }
    }

    /// Enough to see that it works, in seconds.
    pub(crate) fn smoke() -> Self {
        Self {
            rounds: 2,
            round: Duration::from_millis(100),
            connections: 5,
            arrivals: 20,
            sockets: 5,
            turns: 5,
            senders: 8,
            receivers: 20,
            files: 64,
            judges: false,
        }
    }
}
