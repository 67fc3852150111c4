//! Token buckets by key, in bounded memory.

use std::hash::Hash;
use std::time::Duration;

use hashbrown::HashTable;

use crate::clock::Steady;

/// The number of buckets that are examined to remove one from a full memory.
const SAMPLE: usize = 16;
/// The number of buckets that are examined for each new one, so that old ones leave the memory.
const EXAMINED_FOR_EACH_NEW: usize = 2;
/// The number of buckets up to which none is examined. They take little memory.
const SMALL: usize = 256;

/// The size of a bucket, and the time in which it gets a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketSize {
    /// The number of tokens of a full bucket, at least 1.
    pub burst: u32,
    /// The time in which the bucket gets one token.
    pub interval: Duration,
}

impl BucketSize {
    /// Returns the time in which an empty bucket becomes full.
    fn window(self) -> Duration {
        self.interval.saturating_mul(self.burst.max(1))
    }
}

/// A key in a form that is looked up without a copy of it.
pub trait LookupKey<K>: Hash {
    /// Returns true if this is the same key.
    fn is(&self, key: &K) -> bool;

    /// Makes the key that is stored.
    fn to_key(&self) -> K;
}

impl<K: Clone + Eq + Hash> LookupKey<K> for K {
    fn is(&self, key: &K) -> bool {
        self == key
    }

    fn to_key(&self) -> K {
        self.clone()
    }
}

/// A token bucket for each key.
///
/// A bucket that is full again is no different from a new one, so it is forgotten. If more buckets
/// than the capacity are not full, a new one replaces one of those that are nearest to full: a key
/// that has used up its tokens is remembered longest, and nobody gets more than a full bucket by
/// making many keys.
///
/// Each method takes the hash of its key, so that a caller that needs the hash too makes it once.
/// The hash function must have a secret key, since clients choose the keys.
#[derive(Debug)]
pub struct TokenBuckets<K> {
    size: BucketSize,
    capacity: usize,
    slots: Vec<Bucket<K>>,
    /// The position of each key in `slots`.
    positions: HashTable<usize>,
    /// The position at which the next examination begins.
    hand: usize,
}

#[derive(Debug)]
struct Bucket<K> {
    key: K,
    hash: u64,
    /// The time at which the bucket is full again.
    full_at: Steady,
}

impl<K> TokenBuckets<K> {
    /// Creates a memory without buckets, for at most `capacity` of them.
    pub fn new(size: BucketSize, capacity: usize) -> Self {
        let (slots, positions) = (Vec::new(), HashTable::new());
        Self { size, capacity: capacity.max(1), slots, positions, hand: 0 }
    }

    /// Takes a token from the bucket of a key.
    ///
    /// # Errors
    ///
    /// The time until there is a token, if there is none.
    pub fn take(
        &mut self,
        hash: u64,
        key: &impl LookupKey<K>,
        now: Steady,
    ) -> Result<(), Duration> {
        let size = self.size;
        let Some(bucket) = self.find(hash, key) else {
            self.insert(hash, key.to_key(), now);
            return Ok(());
        };
        let full_at = bucket.full_at.max(now) + size.interval;
        let wait = (full_at - now).saturating_sub(size.window());
        if !wait.is_zero() {
            return Err(wait);
        }
        bucket.full_at = full_at;
        Ok(())
    }

    /// Takes a token even if there is none: the bucket then owes it. It owes at most as many tokens
    /// as it can hold.
    pub fn charge(&mut self, hash: u64, key: &impl LookupKey<K>, now: Steady) {
        let size = self.size;
        let Some(bucket) = self.find(hash, key) else {
            return self.insert(hash, key.to_key(), now);
        };
        let limit = now + size.window().saturating_mul(2);
        bucket.full_at = (bucket.full_at.max(now) + size.interval).min(limit);
    }

    /// Gives a token back that was taken for something that did not happen.
    pub fn give_back(&mut self, hash: u64, key: &impl LookupKey<K>) {
        let interval = self.size.interval;
        if let Some(bucket) = self.find(hash, key) {
            bucket.full_at =
                Steady::from_start(bucket.full_at.since_start().saturating_sub(interval));
        }
    }

    /// Removes the buckets that are full again.
    pub fn prune(&mut self, now: Steady) {
        self.slots.retain(|bucket| bucket.full_at > now);
        self.slots.shrink_to_fit();
        self.positions = HashTable::with_capacity(self.slots.len());
        for (at, bucket) in self.slots.iter().enumerate() {
            self.positions.insert_unique(bucket.hash, at, |at| hash_at(&self.slots, *at));
        }
    }

    /// Returns the number of buckets in memory.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns true if no bucket is in memory.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    fn find(&mut self, hash: u64, key: &impl LookupKey<K>) -> Option<&mut Bucket<K>> {
        let at = *self.positions.find(hash, |at| is_at(&self.slots, *at, key))?;
        self.slots.get_mut(at)
    }

    /// Adds the bucket of a new key, from which one token is taken.
    fn insert(&mut self, hash: u64, key: K, now: Steady) {
        self.make_room(now);
        let at = self.slots.len();
        self.slots.push(Bucket { key, hash, full_at: now + self.size.interval });
        self.positions.insert_unique(hash, at, |at| hash_at(&self.slots, *at));
    }

    /// Removes some buckets that are full again, and one that is nearly full if there is no room.
    fn make_room(&mut self, now: Steady) {
        let is_full = self.slots.len() >= self.capacity;
        if !is_full && self.slots.len() < SMALL {
            return;
        }
        let mut nearest: Option<(Steady, usize)> = None;
        for _ in 0..if is_full { SAMPLE } else { EXAMINED_FOR_EACH_NEW } {
            if self.hand >= self.slots.len() {
                self.hand = 0;
            }
            let at = self.hand;
            let Some(bucket) = self.slots.get(at) else { return };
            if bucket.full_at <= now {
                self.remove(at);
                if is_full {
                    return;
                }
            } else {
                let candidate = (bucket.full_at, at);
                nearest = Some(nearest.map_or(candidate, |nearest| nearest.min(candidate)));
                self.hand += 1;
            }
        }
        if let Some((_, at)) = nearest.filter(|_| is_full) {
            self.remove(at);
        }
    }

    fn remove(&mut self, at: usize) {
        let last = self.slots.len() - 1;
        let removed = self.slots.swap_remove(at);
        if let Ok(position) = self.positions.find_entry(removed.hash, |found| *found == at) {
            position.remove();
        }
        // The last bucket is in the place of the removed one now.
        if let Some(moved) = self.slots.get(at)
            && let Some(position) = self.positions.find_mut(moved.hash, |found| *found == last)
        {
            *position = at;
        }
    }
}

fn is_at<K>(slots: &[Bucket<K>], at: usize, key: &impl LookupKey<K>) -> bool {
    slots.get(at).is_some_and(|bucket| key.is(&bucket.key))
}

fn hash_at<K>(slots: &[Bucket<K>], at: usize) -> u64 {
    slots.get(at).map_or(0, |bucket| bucket.hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Steady {
        Steady::from_start(Duration::from_millis(millis))
    }

    /// Returns a hash by which some keys collide.
    fn hash(key: u32) -> u64 {
        u64::from(key % 5_000).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    fn buckets(burst: u32, capacity: usize) -> TokenBuckets<u32> {
        TokenBuckets::new(BucketSize { burst, interval: Duration::from_secs(1) }, capacity)
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_a_token_in_each_interval() {
        let mut buckets = buckets(3, 10);
        assert!((0..3).all(|_| buckets.take(hash(1), &1, at(0)).is_ok()));
        assert_eq!(buckets.take(hash(1), &1, at(250)), Err(Duration::from_millis(750)));
        assert_eq!(buckets.take(hash(2), &2, at(250)), Ok(()));
        assert_eq!(buckets.take(hash(1), &1, at(1_000)), Ok(()));
        assert!(buckets.take(hash(1), &1, at(1_999)).is_err());
    }

    #[test]
    fn a_charge_is_never_refused_and_is_owed_up_to_the_size_of_the_bucket() {
        let mut buckets = buckets(2, 10);
        (0..3).for_each(|_| buckets.charge(hash(1), &1, at(0)));
        assert_eq!(buckets.take(hash(1), &1, at(0)), Err(Duration::from_secs(2)));
        (0..100).for_each(|_| buckets.charge(hash(1), &1, at(0)));
        assert_eq!(buckets.take(hash(1), &1, at(0)), Err(Duration::from_secs(3)));
        assert_eq!(buckets.take(hash(1), &1, at(3_000)), Ok(()));
    }

    #[test]
    fn any_number_of_keys_takes_no_more_memory_than_the_capacity() {
        let mut buckets = buckets(1, 100);
        (0..100_000).for_each(|key| assert!(buckets.take(hash(key), &key, at(0)).is_ok()));
        assert_eq!((buckets.len(), buckets.positions.len()), (100, 100));
    }

    #[test]
    fn a_key_without_tokens_is_not_displaced_by_many_new_keys() {
        let mut buckets = buckets(20, 200);
        (0..20).for_each(|_| assert!(buckets.take(hash(0), &0, at(0)).is_ok()));
        (1..100_000).for_each(|key| assert!(buckets.take(hash(key), &key, at(0)).is_ok()));
        assert!(buckets.take(hash(0), &0, at(0)).is_err());
    }

    #[test]
    fn full_buckets_are_forgotten_by_new_ones_and_by_pruning() {
        let mut buckets = buckets(1, 1_000);
        (0..500).for_each(|key| assert!(buckets.take(hash(key), &key, at(0)).is_ok()));
        (1_000..1_500).for_each(|key| assert!(buckets.take(hash(key), &key, at(2_000)).is_ok()));
        assert_eq!(buckets.len(), 500);
        buckets.prune(at(3_000));
        assert!(buckets.is_empty() && buckets.positions.is_empty());
        assert_eq!(buckets.take(hash(1), &1, at(3_000)), Ok(()));
    }

    #[test]
    fn a_token_that_is_given_back_can_be_taken_again() {
        let mut buckets = buckets(1, 10);
        assert_eq!(buckets.take(hash(1), &1, at(0)), Ok(()));
        buckets.give_back(hash(1), &1);
        assert_eq!(buckets.take(hash(1), &1, at(0)), Ok(()));
        assert!(buckets.take(hash(1), &1, at(0)).is_err());
        // A bucket is never more than full.
        (0..3).for_each(|_| buckets.give_back(hash(1), &1));
        assert_eq!(buckets.take(hash(1), &1, at(10)), Ok(()));
        assert!(buckets.take(hash(1), &1, at(10)).is_err());
    }
}
