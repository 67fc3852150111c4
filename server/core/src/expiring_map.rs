//! A bounded memory of values that are kept until they expire, with a quota for each owner.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Duration;

use crate::clock::{Clock, Steady};
use presence_protocol::UnixMillis;

/// A moment on both scales of a clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct Moment {
    /// The wall-clock time.
    pub now: UnixMillis,
    /// The monotonic time.
    pub steady: Steady,
}

impl Moment {
    /// Returns the current moment of a clock.
    pub fn of(clock: &dyn Clock) -> Self {
        Self { now: clock.now(), steady: clock.steady() }
    }
}

/// The limits of an [`ExpiringMap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapLimits {
    /// The maximum number of entries.
    pub total: usize,
    /// The maximum number of entries of one owner.
    pub for_each_owner: usize,
}

/// The error of a map or a quota that is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the memory is full")]
pub struct MapFull {
    /// The time after which there is room, if nothing else is added.
    pub retry_after: Duration,
}

/// A map whose entries are never removed before they expire. If it is full, or its owner's quota
/// is, it takes no further entry.
///
/// An entry is over when its end has passed by the wall clock, and when the time that was left at
/// its insertion has passed by the monotonic clock. So a wall clock that jumps makes nothing
/// forgotten too early.
#[derive(Debug)]
pub struct ExpiringMap<K, O, V> {
    limits: MapLimits,
    entries: HashMap<K, ExpiringEntry<O, V>>,
    /// All entries, the first to expire first.
    by_end: BTreeSet<(Steady, K)>,
    /// The entries of each owner.
    owners: HashMap<O, Vec<(Steady, K)>>,
}

#[derive(Debug)]
struct ExpiringEntry<O, V> {
    owner: O,
    value: V,
    ends_at: UnixMillis,
    /// The end by the monotonic clock.
    ends_at_steady: Steady,
}

impl<K: Clone + Ord + Hash, O: Clone + Eq + Hash, V> ExpiringMap<K, O, V> {
    /// Creates an empty map.
    pub fn new(limits: MapLimits) -> Self {
        Self { limits, entries: HashMap::new(), by_end: BTreeSet::new(), owners: HashMap::new() }
    }

    /// Returns the value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// Calls `update` for each entry of an owner, with its key, its value and its end.
    pub fn update_each_of(&mut self, owner: &O, mut update: impl FnMut(&K, &mut V, UnixMillis)) {
        for (_, key) in self.owners.get(owner).into_iter().flatten() {
            if let Some(entry) = self.entries.get_mut(key) {
                update(key, &mut entry.value, entry.ends_at);
            }
        }
    }

    /// Adds a value that is kept until `ends_at`. A key that the map has keeps its value.
    ///
    /// # Errors
    ///
    /// [`MapFull`] if the map or the owner's quota is full.
    pub fn insert(
        &mut self,
        key: K,
        (owner, value): (O, V),
        ends_at: UnixMillis,
        moment: Moment,
    ) -> Result<(), MapFull> {
        self.remove_expired(moment);
        if self.entries.contains_key(&key) {
            return Ok(());
        }
        self.check_room(&owner, moment)?;
        let ends_at_steady = moment.steady + (ends_at - moment.now);
        self.by_end.insert((ends_at_steady, key.clone()));
        self.owners.entry(owner.clone()).or_default().push((ends_at_steady, key.clone()));
        self.entries.insert(key, ExpiringEntry { owner, value, ends_at, ends_at_steady });
        Ok(())
    }

    /// Removes an entry, and returns its value.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.remove(key)?;
        self.by_end.remove(&(entry.ends_at_steady, key.clone()));
        self.release_quota(&entry.owner, key);
        Some(entry.value)
    }

    /// Removes the entries that are over.
    pub fn remove_expired(&mut self, moment: Moment) {
        while let Some((end, _)) = self.by_end.first()
            && *end <= moment.steady
        {
            let Some((_, key)) = self.by_end.pop_first() else { return };
            let Some(entry) = self.entries.remove(&key) else { continue };
            self.release_quota(&entry.owner, &key);
            if entry.ends_at > moment.now {
                self.keep_longer(key, entry, moment);
            }
        }
    }

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns true if there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Puts an entry back whose end has not come by the wall clock, which was set back.
    fn keep_longer(&mut self, key: K, entry: ExpiringEntry<O, V>, moment: Moment) {
        let ends_at_steady = moment.steady + (entry.ends_at - moment.now);
        self.by_end.insert((ends_at_steady, key.clone()));
        self.owners.entry(entry.owner.clone()).or_default().push((ends_at_steady, key.clone()));
        self.entries.insert(key, ExpiringEntry { ends_at_steady, ..entry });
    }

    fn check_room(&self, owner: &O, moment: Moment) -> Result<(), MapFull> {
        let is_owner_full =
            |own: &&Vec<(Steady, K)>| own.len() >= self.limits.for_each_owner && !own.is_empty();
        let end_of_owner = self.owners.get(owner).filter(is_owner_full);
        let end_of_owner = end_of_owner.and_then(|own| own.iter().map(|(end, _)| *end).min());
        let is_full = self.entries.len() >= self.limits.total;
        let end_of_all = self.by_end.first().filter(|_| is_full).map(|(end, _)| *end);
        match end_of_owner.max(end_of_all) {
            Some(end) => Err(MapFull { retry_after: end - moment.steady }),
            None => Ok(()),
        }
    }

    fn release_quota(&mut self, owner: &O, key: &K) {
        let Some(own) = self.owners.get_mut(owner) else { return };
        if let Some(at) = own.iter().position(|(_, known)| known == key) {
            own.swap_remove(at);
        }
        if own.is_empty() {
            self.owners.remove(owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        let steady = Steady::from_start(Duration::from_millis(millis));
        Moment { now: UnixMillis::new(1_000_000 + millis), steady }
    }

    fn end(millis: u64) -> UnixMillis {
        UnixMillis::new(1_000_000 + millis)
    }

    fn map(total: usize, for_each_owner: usize) -> ExpiringMap<u32, char, ()> {
        ExpiringMap::new(MapLimits { total, for_each_owner })
    }

    #[test]
    fn a_full_quota_takes_nothing_until_the_owners_first_entry_is_over() {
        let mut map = map(10, 2);
        assert!(map.insert(1, ('a', ()), end(500), at(0)).is_ok());
        assert!(map.insert(2, ('a', ()), end(900), at(0)).is_ok());
        let full = map.insert(3, ('a', ()), end(900), at(100)).unwrap_err();
        assert_eq!(full.retry_after, Duration::from_millis(400));
        assert!(map.insert(3, ('b', ()), end(900), at(100)).is_ok());
        assert!(map.insert(4, ('a', ()), end(900), at(500)).is_ok());
        assert!(map.get(&1).is_none() && map.get(&2).is_some());
    }

    /// Holds threat 4.
    #[test]
    fn a_full_map_forgets_nothing_and_takes_nothing() {
        let mut map = map(3, 3);
        for (key, owner) in [(1, 'a'), (2, 'b'), (3, 'c')] {
            assert!(map.insert(key, (owner, ()), end(1_000), at(0)).is_ok());
        }
        for key in 10..1_000 {
            let full = map.insert(key, ('d', ()), end(5_000), at(400)).unwrap_err();
            assert_eq!(full.retry_after, Duration::from_millis(600));
        }
        assert!((1..=3).all(|key| map.get(&key).is_some()));
        assert!(map.insert(1, ('a', ()), end(1_000), at(0)).is_ok(), "a known key needs no room");
    }

    #[test]
    fn all_entries_of_one_owner_can_be_changed() {
        let mut map = ExpiringMap::new(MapLimits { total: 9, for_each_owner: 9 });
        for (key, owner) in [(1, 'a'), (2, 'b'), (3, 'a')] {
            assert!(map.insert(key, (owner, 0), end(500), at(0)).is_ok());
        }
        map.update_each_of(&'a', |key, value, ends_at| {
            assert_eq!(ends_at, end(500));
            *value = *key;
        });
        assert_eq!([1, 2, 3].map(|key| map.get(&key).copied()), [Some(1), Some(0), Some(3)]);
    }

    #[test]
    fn a_removed_entry_gives_its_place_back() {
        let mut map = map(1, 1);
        assert!(map.insert(1, ('a', ()), end(10), at(0)).is_ok());
        assert!(map.remove(&1).is_some() && map.remove(&1).is_none());
        assert!(map.insert(2, ('a', ()), end(10), at(0)).is_ok());
        assert_eq!((map.len(), map.by_end.len(), map.owners.len()), (1, 1, 1));
    }

    #[test]
    fn a_wall_clock_that_jumps_makes_nothing_forgotten_too_early() {
        let mut map = map(10, 10);
        assert!(map.insert(1, ('a', ()), end(1_000), at(0)).is_ok());
        map.remove_expired(Moment { now: end(90_000), ..at(10) });
        assert!(map.get(&1).is_some(), "set forward");
        map.remove_expired(Moment { now: end(200), ..at(1_000) });
        assert!(map.get(&1).is_some(), "set back");
        map.remove_expired(Moment { now: end(1_000), ..at(1_800) });
        assert!(map.is_empty() && map.owners.is_empty() && map.by_end.is_empty());
    }
}
