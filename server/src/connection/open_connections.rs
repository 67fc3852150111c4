//! The open connections that are no WebSocket, of which idle ones are closed when the limit of open
//! files is near, so that new ones can be accepted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use presence_core::Steady;
use presence_protocol::CloseCode;
use presence_service::SocketWaker;

use crate::client_proof::ClientProof;

/// The part of the limit of open files that is kept for files and connections of the server's own.
const RESERVE_DIVISOR: usize = 8;
/// The least number of files that are kept.
const MIN_RESERVE: usize = 32;
/// The part of the idle connections that is closed at once, so that few connections need a search.
const BATCH_DIVISOR: usize = 16;

/// The open connections.
pub(crate) struct OpenConnections {
    /// The connections that are no WebSocket.
    http: Mutex<HashMap<u64, Weak<HttpConnection>>>,
    next_id: AtomicU64,
    /// The number of connections, with sockets, from which idle ones are closed.
    threshold: usize,
}

/// The activity of a connection that is no WebSocket.
pub(crate) struct HttpConnection {
    id: u64,
    all: Arc<OpenConnections>,
    pub(super) waker: Arc<SocketWaker>,
    proof: Option<Arc<ClientProof>>,
    /// The time of the last byte, in milliseconds since the start.
    active_at: AtomicU64,
    /// Set while a request is answered.
    is_busy: AtomicBool,
}

impl OpenConnections {
    /// Closes idle connections near a limit of open files.
    pub(crate) fn new(file_limit: usize) -> Self {
        let reserve = (file_limit / RESERVE_DIVISOR).max(MIN_RESERVE);
        Self {
            http: Mutex::default(),
            next_id: AtomicU64::new(0),
            threshold: file_limit.saturating_sub(reserve).max(1),
        }
    }

    /// Closes a part of the idle connections if there are too many beside this number of sockets.
    pub(super) fn make_room(&self, sockets: usize) {
        let open = self.http().len() + sockets;
        if open >= self.threshold {
            self.close_idle();
        }
    }

    /// Adds a connection.
    pub(super) fn add(
        self: &Arc<Self>,
        proof: Option<Arc<ClientProof>>,
        now: Steady,
    ) -> Arc<HttpConnection> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(HttpConnection {
            id,
            all: Arc::clone(self),
            waker: Arc::default(),
            proof,
            active_at: AtomicU64::new(millis(now)),
            is_busy: AtomicBool::new(false),
        });
        self.http().insert(id, Arc::downgrade(&connection));
        connection
    }

    /// Closes a part of the idle connections: first those whose clients have proven nothing, and of
    /// these the ones that are idle for the longest time.
    pub(super) fn close_idle(&self) {
        let open: Vec<Arc<HttpConnection>> =
            self.http().values().filter_map(Weak::upgrade).collect();
        let mut idle: Vec<&Arc<HttpConnection>> =
            open.iter().filter(|connection| connection.is_idle()).collect();
        // Each key is read once, since connections go on meanwhile.
        idle.sort_by_cached_key(|connection| {
            (connection.is_proven(), connection.active_at.load(Ordering::Relaxed))
        });
        let count = idle.len().div_ceil(BATCH_DIVISOR);
        idle.iter().take(count).for_each(|connection| connection.close());
        if count > 0 {
            tracing::debug!(count, "connections.idle_closed");
        }
    }

    fn http(&self) -> MutexGuard<'_, HashMap<u64, Weak<HttpConnection>>> {
        self.http.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpConnection {
    /// Records that bytes were read or written.
    pub(super) fn record_activity(&self, now: Steady) {
        self.active_at.store(millis(now), Ordering::Relaxed);
    }

    /// Records whether a request is being answered.
    pub(super) fn set_busy(&self, is_busy: bool) {
        self.is_busy.store(is_busy, Ordering::Relaxed);
    }

    /// Returns true if the connection is to be closed.
    pub(super) fn is_closed(&self) -> bool {
        self.waker.closing().is_some()
    }

    fn is_idle(&self) -> bool {
        !self.is_busy.load(Ordering::Relaxed) && !self.is_closed()
    }

    fn is_proven(&self) -> bool {
        self.proof.as_ref().is_some_and(|proof| proof.is_complete())
    }

    fn close(&self) {
        self.waker.close(CloseCode::TryAgainLater);
    }
}

impl Drop for HttpConnection {
    fn drop(&mut self) {
        self.all.http().remove(&self.id);
    }
}

fn millis(at: Steady) -> u64 {
    u64::try_from(at.since_start().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Steady {
        Steady::from_start(Duration::from_secs(seconds))
    }

    #[test]
    fn near_the_file_limit_the_connections_that_are_idle_for_the_longest_time_are_closed() {
        let all = Arc::new(OpenConnections::new(MIN_RESERVE + 4));
        let http: Vec<_> = (0..3).map(|n| all.add(None, at(n))).collect();
        http[0].set_busy(true);
        all.make_room(0);
        assert!(http.iter().all(|connection| !connection.is_closed()));
        all.make_room(1);
        let closed: Vec<bool> = http.iter().map(|connection| connection.is_closed()).collect();
        assert_eq!(closed, [false, true, false], "the first one answers a request");
    }
}
