//! The counters of a channel.

use std::time::Duration;

/// The counters of a channel since it was opened. A counter that the kind of channel does not have
/// is zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelCounters {
    /// The attempts to connect.
    pub attempts: u64,
    /// The connections on which the server accepted the credential.
    pub connections: u64,
    /// Those of these connections that have ended, for whatever reason.
    pub disconnects: u64,
    /// The time from the last ping to its reply. Until the first one, the time from the first frame
    /// of the connection to its reply.
    pub last_round_trip: Option<Duration>,
    /// The frames, and the entries in them, that this version could not read and has skipped.
    pub skipped: u64,
    /// The receipts that were dropped because the application was too slow; of an AppService only.
    pub receipts_dropped: u64,
    /// The updates that waited for the application and were replaced by a newer one of the same
    /// user or by a snapshot; of an AppService only.
    pub updates_merged: u64,
    /// The requests without a reply within the time limit; of an AppService only.
    pub requests_timed_out: u64,
}
