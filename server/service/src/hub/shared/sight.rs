//! The sight of a server: whether it sees the changes of other servers.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use presence_core::Steady;

/// The time without an answer of the database after which what sockets were sent counts as stale.
const STALE_AFTER: Duration = Duration::from_secs(5);

/// The sight of a server.
pub(super) struct Sight(Mutex<State>);

struct State {
    /// The time of the last answer.
    seen_at: Steady,
    is_stale: bool,
}

impl Sight {
    pub(super) fn new(now: Steady) -> Self {
        Self(Mutex::new(State { seen_at: now, is_stale: false }))
    }

    /// Records that all changes were read. Returns true if they were not for some time.
    pub(super) fn see(&self, now: Steady) -> bool {
        let mut state = self.lock();
        state.seen_at = now;
        std::mem::replace(&mut state.is_stale, false)
    }

    /// Returns true if nothing was read for too long, once.
    pub(super) fn becomes_stale(&self, now: Steady) -> bool {
        let mut state = self.lock();
        let is_stale = now - state.seen_at >= STALE_AFTER;
        is_stale && !std::mem::replace(&mut state.is_stale, true)
    }

    /// Returns true while changes are not seen.
    pub(super) fn is_stale(&self) -> bool {
        self.lock().is_stale
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_an_answer_for_five_seconds_is_stale_until_the_next_one() {
        let at = |millis| Steady::from_start(Duration::from_millis(millis));
        let sight = Sight::new(at(0));
        assert!(!sight.becomes_stale(at(4_999)));
        assert!(sight.becomes_stale(at(5_000)) && sight.is_stale());
        assert!(!sight.becomes_stale(at(9_000)), "it is so already");
        assert!(sight.see(at(10_000)) && !sight.is_stale());
        assert!(!sight.see(at(11_000)));
        assert!(!sight.becomes_stale(at(15_999)));
    }
}
