//! The time of the database, by which all servers measure grace times.

use std::sync::{Arc, Mutex, PoisonError};

use presence_core::{Clock, Steady, UnixMillis};

/// The time of the database, as this server last heard of it, plus the time since then.
pub(super) struct DatabaseClock {
    clock: Arc<dyn Clock>,
    heard: Mutex<(Steady, UnixMillis)>,
}

impl DatabaseClock {
    pub(super) fn new(clock: Arc<dyn Clock>, now: UnixMillis) -> Self {
        let heard = Mutex::new((clock.steady(), now));
        Self { clock, heard }
    }

    /// Records the time of the database, which an answer has brought.
    pub(super) fn hear(&self, at: UnixMillis) {
        let steady = self.clock.steady();
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = (steady, at);
    }

    /// Returns the time of the database. It is at most the delay of an answer behind.
    pub(super) fn now(&self) -> UnixMillis {
        let (steady, at) = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        at + (self.clock.steady() - steady)
    }
}
