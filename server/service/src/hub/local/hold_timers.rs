//! The ends of the holds of receipts.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Mutex, PoisonError};

use presence_core::Steady;
use presence_protocol::{AppId, Puid};

/// The times at which holds end. The streams schedule each grant at most once, so there is at most
/// one entry for each grant.
#[derive(Default)]
pub(super) struct HoldTimers(Mutex<BinaryHeap<Reverse<(Steady, AppId, Puid)>>>);

impl HoldTimers {
    /// Schedules the end of a hold.
    pub(super) fn schedule(&self, at: Steady, app: AppId, puid: Puid) {
        self.with(|timers| timers.push(Reverse((at, app, puid))));
    }

    /// Takes an end that is due.
    pub(super) fn pop_due(&self, now: Steady) -> Option<(AppId, Puid)> {
        self.with(|timers| {
            let Reverse((at, app, puid)) = *timers.peek()?;
            (at <= now).then(|| {
                timers.pop();
                (app, puid)
            })
        })
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&mut BinaryHeap<Reverse<(Steady, AppId, Puid)>>) -> T,
    ) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
