//! The amount of work in a run.

use std::time::Duration;

/// The amount of work in a run.
pub(crate) struct Scale {
    /// The number of rounds of each side.
    pub(crate) rounds: usize,
    /// The duration of a round of one side, for rows that are limited by time.
    pub(crate) round: Duration,
    /// The number of connections with one request in flight each.
    pub(crate) connections: usize,
    /// The number of devices that connect in a round. All stay connected until the last round.
    pub(crate) arrivals: usize,
    /// The number of devices that come back at once.
    pub(crate) returning: usize,
    /// The number of sockets of the Application that receive one status.
    pub(crate) sockets: usize,
    /// The number of fan-out steps in a round.
    pub(crate) steps: usize,
    /// The number of concurrent senders of notifications.
    pub(crate) senders: usize,
    /// The number of users who receive notifications. Each can have a hundred pending.
    pub(crate) receivers: usize,
    /// The number of Applications of servers that share presence.
    pub(crate) applications: usize,
    /// The maximum number of open files of the server in `file-limit`.
    pub(crate) files: u64,
    /// A flag: a missed gate makes the run fail.
    pub(crate) judges: bool,
}

impl Scale {
    /// A run that is long enough for a verdict.
    pub(crate) fn full() -> Self {
        Self {
            rounds: 5,
            round: Duration::from_secs(2),
            connections: 100,
            arrivals: 2_000,
            returning: 16_000,
            sockets: 100,
            steps: 400,
            senders: 256,
            receivers: 1_000,
            applications: 300,
            files: 256,
            judges: true,
        }
    }

    /// A run of a few seconds that checks that all rows work.
    pub(crate) fn smoke() -> Self {
        Self {
            rounds: 2,
            round: Duration::from_millis(100),
            connections: 5,
            arrivals: 20,
            returning: 200,
            sockets: 5,
            steps: 5,
            senders: 8,
            receivers: 20,
            applications: 6,
            files: 64,
            judges: false,
        }
    }
}
