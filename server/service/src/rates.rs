//! Limits of rates: token buckets by key, which a new connection does not refill.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use presence_core::Clock;
use presence_core::token_buckets::{BucketSize, LookupKey, TokenBuckets};
use presence_protocol::ApiError;

use crate::settings::Rate;

/// The shortest wait that a client is asked for.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
/// The number of parts of a limiter, each with a lock of its own.
const PARTS: usize = 16;

/// Returns the address under which a client is counted. Of IPv6 that is a network of 64 bits, in
/// which one client can have any number of addresses.
pub fn rate_limited_address(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// A token bucket for each key, in bounded memory: see [`TokenBuckets`] for what is forgotten.
///
/// A key must be known to be real, such as a user, an Application or the address of a connection. A
/// name that a user chooses is checked after the user's own bucket. `S` hashes the keys: with a
/// secret, unless only the server chooses them.
pub(crate) struct KeyedRateLimiter<K, S = RandomState> {
    parts: Vec<Mutex<TokenBuckets<K>>>,
    hasher: S,
    clock: Arc<dyn Clock>,
}

impl<K, S: BuildHasher + Default> KeyedRateLimiter<K, S> {
    /// The maximum number of buckets. One has about 100 bytes.
    pub(crate) const CAPACITY: usize = 200_000;

    /// Creates a limiter whose buckets are full.
    pub(crate) fn new(rate: Rate, clock: Arc<dyn Clock>) -> Self {
        let interval = Duration::from_secs(1) / rate.per_second.max(1);
        let size = BucketSize { burst: rate.burst.max(1), interval };
        let part = || Mutex::new(TokenBuckets::new(size, Self::CAPACITY / PARTS));
        let parts = std::iter::repeat_with(part).take(PARTS).collect();
        Self { parts, hasher: S::default(), clock }
    }

    /// Takes a token from the bucket of a key.
    ///
    /// # Errors
    ///
    /// `slow_down` if the bucket is empty.
    pub(crate) fn check(&self, key: &impl LookupKey<K>) -> Result<(), ApiError> {
        self.take(key).map_err(slow_down)
    }

    /// Takes a token from the bucket of a key.
    ///
    /// # Errors
    ///
    /// The time until there is a token, if the bucket is empty.
    pub(crate) fn take(&self, key: &impl LookupKey<K>) -> Result<(), Duration> {
        let now = self.clock.steady();
        self.with(key, |buckets, hash| buckets.take(hash, key, now)).unwrap_or(Ok(()))
    }

    /// Takes a token from the bucket of a key, and waits for one if the bucket is empty.
    pub(crate) async fn wait(&self, key: &impl LookupKey<K>) {
        while let Err(wait) = self.take(key) {
            tokio::time::sleep(wait.max(SHORTEST_WAIT)).await;
        }
    }

    /// Takes a token from the bucket of a key, which owes it if it is empty.
    pub(crate) fn charge(&self, key: &impl LookupKey<K>) {
        let now = self.clock.steady();
        self.with(key, |buckets, hash| buckets.charge(hash, key, now));
    }

    /// Gives a token back that was taken for something that did not happen.
    pub(crate) fn give_back(&self, key: &impl LookupKey<K>) {
        self.with(key, |buckets, hash| buckets.give_back(hash, key));
    }

    /// Removes the buckets that are full again.
    pub(crate) fn prune(&self) {
        let now = self.clock.steady();
        self.parts.iter().for_each(|part| lock(part).prune(now));
    }

    /// Works on the part of a key, with the hash of the key. There always is such a part.
    fn with<T>(
        &self,
        key: &impl LookupKey<K>,
        work: impl FnOnce(&mut TokenBuckets<K>, u64) -> T,
    ) -> Option<T> {
        let hash = self.hasher.hash_one(key);
        // The table of a part uses the lowest and the highest bits. A number modulo the number of
        // parts is in bounds, and fits.
        let part = usize::try_from((hash >> 40) % PARTS as u64).unwrap_or(0);
        self.parts.get(part).map(|part| work(&mut lock(part), hash))
    }
}

fn lock<K>(part: &Mutex<TokenBuckets<K>>) -> std::sync::MutexGuard<'_, TokenBuckets<K>> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the error that asks for a wait. The wait may be over by now, but a wait of no time would
/// be no advice.
pub(crate) fn slow_down(wait: Duration) -> ApiError {
    ApiError::slow_down(wait.max(SHORTEST_WAIT).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use presence_core::ManualClock;
    use presence_protocol::Errno;

    use super::*;

    fn limiter(rate: Rate) -> (Arc<ManualClock>, KeyedRateLimiter<&'static str>) {
        let clock = Arc::new(ManualClock::default());
        let limiter = KeyedRateLimiter::new(rate, Arc::<ManualClock>::clone(&clock));
        (clock, limiter)
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_as_one_and_a_mapped_ipv4_address_as_itself() {
        let address = |text: &str| rate_limited_address(text.parse().unwrap());
        assert_eq!(address("2001:db8:1:2:3::4"), address("2001:db8:1:2:ffff::1"));
        assert_ne!(address("2001:db8:1:2::1"), address("2001:db8:1:3::1"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
        assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
    }

    #[test]
    fn a_bucket_allows_its_burst_and_then_tells_how_long_to_wait() {
        let (clock, limiter) = limiter(Rate { burst: 5, per_second: 1 });
        assert!((0..5).all(|_| limiter.check(&"a").is_ok()));
        clock.advance(Duration::from_millis(250));
        let error = limiter.check(&"a").unwrap_err();
        assert_eq!((error.errno, error.retry_after), (Errno::SlowDown, Some(0.75)));
        assert!(limiter.check(&"b").is_ok());
        clock.advance(Duration::from_millis(750));
        assert!(limiter.check(&"a").is_ok());
    }

    #[test]
    fn an_error_asks_for_at_least_the_shortest_wait() {
        let (_, limiter) = limiter(Rate { burst: 1, per_second: 1_000_000 });
        assert!(limiter.check(&"a").is_ok());
        assert_eq!(limiter.check(&"a").unwrap_err().retry_after, Some(0.001));
    }

    #[test]
    fn a_charge_is_owed_and_a_token_that_is_given_back_is_there_again() {
        let (clock, limiter) = limiter(Rate { burst: 1, per_second: 1 });
        for _ in 0..10 {
            assert!(limiter.check(&"a").is_ok());
            limiter.give_back(&"a");
        }
        limiter.charge(&"a");
        limiter.charge(&"a");
        assert_eq!(limiter.check(&"a").unwrap_err().retry_after, Some(2.0));
        clock.advance(Duration::from_secs(2));
        assert!(limiter.check(&"a").is_ok());
    }

    #[test]
    fn made_up_keys_take_a_bounded_memory() {
        let clock = Arc::new(ManualClock::default());
        let rate = Rate { burst: 1, per_second: 1 };
        let limiter: KeyedRateLimiter<usize> = KeyedRateLimiter::new(rate, clock);
        let capacity = <KeyedRateLimiter<usize>>::CAPACITY;
        (0..capacity + 50_000).for_each(|key| assert!(limiter.check(&key).is_ok()));
        let buckets: usize = limiter.parts.iter().map(|part| lock(part).len()).sum();
        assert!(buckets <= capacity, "{buckets}");
    }
}
