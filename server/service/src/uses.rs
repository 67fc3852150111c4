//! The uses of API keys and sessions, noted in memory and written later: no call waits for a record
//! of itself.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use presence_core::UnixMillis;
use presence_store::{Store, StoreError, UsedThing};

/// The shortest time between two records of the same thing.
const RECORD_INTERVAL: Duration = Duration::from_mins(1);
/// The maximum number of things in each of the two lists. While the list of unwritten uses is
/// full, further uses are not noted. A full list of writes is cleared, so that the next uses are
/// written again too soon.
const CAPACITY: usize = 100_000;
/// The maximum number of uses of one transaction, for which the writer waits.
const MAX_WRITES: usize = 1_000;

/// The noted uses. Only things that exist are noted.
#[derive(Default)]
pub(crate) struct UseLog(Mutex<NotedUses>);

#[derive(Default)]
struct NotedUses {
    unwritten: HashMap<UsedThing, UnixMillis>,
    /// The last written use of each thing, for the interval.
    written: HashMap<UsedThing, UnixMillis>,
}

impl UseLog {
    /// Notes that a thing is used now.
    pub(crate) fn note(&self, thing: UsedThing, now: UnixMillis) {
        self.with(|uses| {
            let is_recent = |at: &UnixMillis| now < *at + RECORD_INTERVAL && *at <= now;
            if uses.written.get(&thing).is_some_and(is_recent) {
                return;
            }
            if uses.unwritten.len() < CAPACITY || uses.unwritten.contains_key(&thing) {
                uses.unwritten.insert(thing, now);
            }
        });
    }

    /// Returns the last noted use of a thing, to the minute, if it was noted lately.
    pub(crate) fn last_use(&self, thing: &UsedThing) -> Option<UnixMillis> {
        self.with(|uses| uses.unwritten.get(thing).or_else(|| uses.written.get(thing)).copied())
    }

    /// Writes what was noted. After an error it is still noted.
    ///
    /// # Errors
    ///
    /// The error of the store.
    pub(crate) async fn write(&self, store: &Store) -> Result<(), StoreError> {
        loop {
            let taken: Vec<(UsedThing, UnixMillis)> = self.with(|uses| {
                uses.unwritten.iter().take(MAX_WRITES).map(|(thing, at)| (*thing, *at)).collect()
            });
            if taken.is_empty() {
                return Ok(());
            }
            store.record_uses(&taken).await?;
            self.with(|uses| uses.mark_written(&taken));
        }
    }

    /// Forgets the writes that are older than the interval.
    pub(crate) fn prune(&self, now: UnixMillis) {
        self.with(|uses| uses.written.retain(|_, at| now < *at + RECORD_INTERVAL));
    }

    fn with<T>(&self, work: impl FnOnce(&mut NotedUses) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl NotedUses {
    fn mark_written(&mut self, uses: &[(UsedThing, UnixMillis)]) {
        if self.written.len() + uses.len() > CAPACITY {
            self.written.clear();
        }
        for (thing, at) in uses {
            if self.unwritten.get(thing) == Some(at) {
                self.unwritten.remove(thing);
            }
            self.written.insert(*thing, *at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis::new(1_800_000_000_000);
    const KEY: UsedThing = UsedThing::Key(1);

    fn unwritten(log: &UseLog) -> Vec<(UsedThing, UnixMillis)> {
        log.with(|uses| uses.unwritten.clone().into_iter().collect())
    }

    #[test]
    fn a_use_is_noted_again_a_minute_after_the_last_written_one() {
        let log = UseLog::default();
        for (millis, noted) in [(0, Some(0)), (59_999, None), (60_000, Some(60_000))] {
            let now = NOW + Duration::from_millis(millis);
            log.note(KEY, now);
            let expected = noted.map(|at| (KEY, NOW + Duration::from_millis(at)));
            assert_eq!(unwritten(&log), Vec::from_iter(expected), "after {millis} ms");
            let taken = unwritten(&log);
            log.with(|uses| uses.mark_written(&taken));
        }
        log.prune(NOW + Duration::from_mins(2));
        assert_eq!(log.last_use(&KEY), None);
    }

    #[test]
    fn a_use_during_a_write_stays_noted() {
        let log = UseLog::default();
        log.note(KEY, NOW);
        let taken = unwritten(&log);
        let later = NOW + Duration::from_millis(5);
        log.note(KEY, later);
        log.with(|uses| uses.mark_written(&taken));
        assert_eq!(unwritten(&log), [(KEY, later)]);
        assert_eq!(log.last_use(&KEY), Some(later));
    }

    #[test]
    fn a_full_log_notes_no_further_thing() {
        let log = UseLog::default();
        for key in 0..=i64::try_from(CAPACITY).unwrap() {
            log.note(UsedThing::Key(key), NOW);
        }
        assert_eq!(unwritten(&log).len(), CAPACITY);
    }
}
