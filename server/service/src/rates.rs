//! Limits of rates: token buckets by key, which a new connection does not refill.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use presence_core::Clock;
use presence_protocol::ApiError;

use crate::settings::Rate;

/// The shortest wait that a client is asked for.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// Returns the address under which a client is counted. Of IPv6 that is a network of 64 bits, in
/// which one client can have any number of addresses.
pub(crate) fn rate_limited_address(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// A token bucket for each key.
pub(crate) struct KeyedRateLimiter<K: Clone + Eq + Hash> {
    limiter: RateLimiter<K, DefaultKeyedStateStore<K>, SteadyClock, NoOpMiddleware<Nanos>>,
    clock: SteadyClock,
}

/// The monotonic time of the injected clock, for governor.
#[derive(Clone)]
struct SteadyClock(Arc<dyn Clock>);

impl governor::clock::Clock for SteadyClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.steady().since_start().into()
    }
}

impl<K: Clone + Eq + Hash> KeyedRateLimiter<K> {
    /// Creates a limiter whose buckets are full.
    pub(crate) fn new(rate: Rate, clock: Arc<dyn Clock>) -> Self {
        let at_least_one = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        let quota =
            Quota::per_second(at_least_one(rate.per_second)).allow_burst(at_least_one(rate.burst));
        let clock = SteadyClock(clock);
        let state = DefaultKeyedStateStore::default();
        Self { limiter: RateLimiter::new(quota, state, clock.clone()), clock }
    }

    /// Takes a token from the bucket of a key.
    ///
    /// # Errors
    ///
    /// `slow_down` if the bucket is empty.
    pub(crate) fn check(&self, key: &K) -> Result<(), ApiError> {
        self.limiter.check_key(key).map_err(|until| {
            let wait = until.wait_time_from(governor::clock::Clock::now(&self.clock));
            // The wait may be over by now, but a wait of no time would be no advice.
            ApiError::slow_down(wait.max(SHORTEST_WAIT).as_secs_f64())
        })
    }

    /// Removes the buckets that are full again.
    pub(crate) fn prune(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
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
}
