//! The counters of channels and stored maps.

/// The counters of a channel since it was opened. A counter that the kind of channel does not have
/// is zero.
#[derive(Debug, Clone, Copy, PartialEq, uniffi::Record)]
pub struct ChannelCounters {
    /// The attempts to connect.
    pub attempts: u64,
    /// The connections on which the server accepted the credential.
    pub connections: u64,
    /// Those of these connections that have ended, for whatever reason.
    pub disconnects: u64,
    /// The time from the last ping to its reply, in seconds. Until the first one, the time from the
    /// first frame of the connection to its reply.
    pub last_round_trip_seconds: Option<f64>,
    /// The frames, and the entries in them, that this version could not read and has skipped.
    pub skipped: u64,
    /// The receipts that were dropped because the app pulled too slowly; of a back end only.
    pub receipts_dropped: u64,
    /// The updates that waited for the app and were replaced by a newer one of the same user or by
    /// a snapshot; of a back end only.
    pub updates_merged: u64,
    /// The requests without a reply within the time limit; of a back end only.
    pub requests_timed_out: u64,
}

impl From<presence_client::ChannelCounters> for ChannelCounters {
    fn from(counters: presence_client::ChannelCounters) -> Self {
        Self {
            attempts: counters.attempts,
            connections: counters.connections,
            disconnects: counters.disconnects,
            last_round_trip_seconds: counters.last_round_trip.map(|time| time.as_secs_f64()),
            skipped: counters.skipped,
            receipts_dropped: counters.receipts_dropped,
            updates_merged: counters.updates_merged,
            requests_timed_out: counters.requests_timed_out,
        }
    }
}

/// The counters of the file of a channel or a map.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, uniffi::Record)]
pub struct StorageCounters {
    /// The documents that were saved.
    pub saves: u64,
    /// The reads and writes that failed.
    pub errors: u64,
    /// The documents that were ignored because they were damaged, too large or of a newer version.
    pub ignored: u64,
}

impl From<presence_client::StorageCounters> for StorageCounters {
    fn from(counters: presence_client::StorageCounters) -> Self {
        Self { saves: counters.saves, errors: counters.errors, ignored: counters.ignored }
    }
}
