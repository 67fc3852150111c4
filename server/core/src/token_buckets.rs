//! Token buckets by key, in bounded memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use crate::clock::Steady;

/// The number of buckets that are examined to remove one from a full memory.
const SAMPLE: usize = 16;
/// The number of buckets that are examined for each new one, so that old ones leave the memory.
const EXAMINED_FOR_EACH_NEW: usize = 2;

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

/// A token bucket for each key.
///
/// A bucket that is full again is no different from a new one, so it is forgotten. If more buckets
/// than the capacity are not full, a new one replaces one of those that are nearest to full: a key
/// that has used up its tokens is remembered longest, and nobody gets more than a full bucket by
/// making many keys.
#[derive(Debug)]
pub struct TokenBuckets<K> {
    size: BucketSize,
    capacity: usize,
    slots: Vec<Bucket<K>>,
    /// The position of each key in `slots`.
    positions: HashMap<K, usize>,
    /// The position at which the next examination begins.
    hand: usize,
}

#[derive(Debug)]
struct Bucket<K> {
    key: K,
    /// The time at which the bucket is full again.
    full_at: Steady,
}

impl<K: Clone + Eq + Hash> TokenBuckets<K> {
    /// Creates a memory without buckets, for at most `capacity` of them.
    pub fn new(size: BucketSize, capacity: usize) -> Self {
        let (slots, positions) = (Vec::new(), HashMap::new());
        Self { size, capacity: capacity.max(1), slots, positions, hand: 0 }
    }

    /// Takes a token from the bucket of a key.
    ///
    /// # Errors
    ///
    /// The time until there is a token, if there is none.
    pub fn take(&mut self, key: &K, now: Steady) -> Result<(), Duration> {
        let wait = self.wait(key, now);
        if !wait.is_zero() {
            return Err(wait);
        }
        self.set(key, self.full_at(key, now) + self.size.interval, now);
        Ok(())
    }

    /// Takes a token even if there is none: the bucket then owes it. It owes at most as many tokens
    /// as it can hold.
    pub fn charge(&mut self, key: &K, now: Steady) {
        let limit = now + self.size.window().saturating_mul(2);
        let full_at = (self.full_at(key, now) + self.size.interval).min(limit);
        self.set(key, full_at, now);
    }

    /// Returns the time until there is a token, zero if there is one.
    pub fn wait(&self, key: &K, now: Steady) -> Duration {
        let full_at = self.full_at(key, now) + self.size.interval;
        (full_at - now).saturating_sub(self.size.window())
    }

    /// Removes the buckets that are full again.
    pub fn prune(&mut self, now: Steady) {
        self.slots.retain(|bucket| bucket.full_at > now);
        let keys = self.slots.iter().enumerate();
        self.positions = keys.map(|(at, bucket)| (bucket.key.clone(), at)).collect();
        self.slots.shrink_to_fit();
    }

    /// Returns the number of buckets in memory.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns true if no bucket is in memory.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    fn full_at(&self, key: &K, now: Steady) -> Steady {
        let bucket = self.positions.get(key).and_then(|at| self.slots.get(*at));
        bucket.map_or(now, |bucket| bucket.full_at.max(now))
    }

    fn set(&mut self, key: &K, full_at: Steady, now: Steady) {
        if let Some(bucket) = self.positions.get(key).and_then(|at| self.slots.get_mut(*at)) {
            bucket.full_at = full_at;
            return;
        }
        self.make_room(now);
        self.positions.insert(key.clone(), self.slots.len());
        self.slots.push(Bucket { key: key.clone(), full_at });
    }

    /// Removes some buckets that are full again, and one that is nearly full if there is no room.
    fn make_room(&mut self, now: Steady) {
        let is_full = self.slots.len() >= self.capacity;
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
        let removed = self.slots.swap_remove(at);
        self.positions.remove(&removed.key);
        let moved = self.slots.get(at);
        if let Some(position) = moved.and_then(|moved| self.positions.get_mut(&moved.key)) {
            *position = at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Steady {
        Steady::from_start(Duration::from_millis(millis))
    }

    fn buckets(burst: u32, capacity: usize) -> TokenBuckets<u32> {
        TokenBuckets::new(BucketSize { burst, interval: Duration::from_secs(1) }, capacity)
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_a_token_in_each_interval() {
        let mut buckets = buckets(3, 10);
        assert!((0..3).all(|_| buckets.take(&1, at(0)).is_ok()));
        assert_eq!(buckets.take(&1, at(250)), Err(Duration::from_millis(750)));
        assert_eq!(buckets.take(&2, at(250)), Ok(()));
        assert_eq!(buckets.take(&1, at(1_000)), Ok(()));
        assert!(buckets.take(&1, at(1_999)).is_err());
    }

    #[test]
    fn a_charge_is_never_refused_and_is_owed_up_to_the_size_of_the_bucket() {
        let mut buckets = buckets(2, 10);
        (0..3).for_each(|_| buckets.charge(&1, at(0)));
        assert_eq!(buckets.wait(&1, at(0)), Duration::from_secs(2));
        (0..100).for_each(|_| buckets.charge(&1, at(0)));
        assert_eq!(buckets.wait(&1, at(0)), Duration::from_secs(3));
        assert_eq!(buckets.take(&1, at(3_000)), Ok(()));
    }

    #[test]
    fn any_number_of_keys_takes_no_more_memory_than_the_capacity() {
        let mut buckets = buckets(1, 100);
        (0..100_000).for_each(|key| assert!(buckets.take(&key, at(0)).is_ok()));
        assert_eq!((buckets.len(), buckets.positions.len()), (100, 100));
    }

    #[test]
    fn a_key_without_tokens_is_not_displaced_by_many_new_keys() {
        let mut buckets = buckets(20, 200);
        (0..20).for_each(|_| assert!(buckets.take(&0, at(0)).is_ok()));
        (1..100_000).for_each(|key| assert!(buckets.take(&key, at(0)).is_ok()));
        assert!(buckets.take(&0, at(0)).is_err());
    }

    #[test]
    fn full_buckets_are_forgotten_by_new_ones_and_by_pruning() {
        let mut buckets = buckets(1, 1_000);
        (0..500).for_each(|key| assert!(buckets.take(&key, at(0)).is_ok()));
        (1_000..1_500).for_each(|key| assert!(buckets.take(&key, at(2_000)).is_ok()));
        assert_eq!(buckets.len(), 500);
        buckets.prune(at(3_000));
        assert!(buckets.is_empty() && buckets.positions.is_empty());
        assert_eq!(buckets.take(&1, at(3_000)), Ok(()));
    }
}
