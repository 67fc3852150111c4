//! The counters of connections, which the loops of a channel increment.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::counters::ChannelCounters;

/// The value of a round trip that was not measured yet.
const UNKNOWN: u64 = u64::MAX;

/// The counters of connections.
#[derive(Debug)]
pub(crate) struct ConnectionMeters {
    attempts: AtomicU64,
    connections: AtomicU64,
    disconnects: AtomicU64,
    round_trip_nanos: AtomicU64,
}

impl ConnectionMeters {
    pub(crate) fn new() -> Self {
        Self {
            attempts: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            disconnects: AtomicU64::new(0),
            round_trip_nanos: AtomicU64::new(UNKNOWN),
        }
    }

    pub(crate) fn count_attempt(&self) {
        self.attempts.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection now, and its end when the guard is dropped.
    pub(crate) fn count_connection(&self) -> ConnectionGuard<'_> {
        self.connections.fetch_add(1, Ordering::Relaxed);
        ConnectionGuard(self)
    }

    pub(crate) fn set_round_trip(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(UNKNOWN);
        self.round_trip_nanos.store(nanos, Ordering::Relaxed);
    }

    /// Sets the counters of connections.
    pub(crate) fn fill(&self, counters: &mut ChannelCounters) {
        counters.attempts = self.attempts.load(Ordering::Relaxed);
        counters.connections = self.connections.load(Ordering::Relaxed);
        counters.disconnects = self.disconnects.load(Ordering::Relaxed);
        let nanos = self.round_trip_nanos.load(Ordering::Relaxed);
        counters.last_round_trip = (nanos != UNKNOWN).then(|| Duration::from_nanos(nanos));
    }
}

/// An accepted connection, for as long as it lasts.
pub(crate) struct ConnectionGuard<'a>(&'a ConnectionMeters);

impl Drop for ConnectionGuard<'_> {
    fn drop(&mut self) {
        self.0.disconnects.fetch_add(1, Ordering::Relaxed);
    }
}
