//! How fast one may go: token buckets by whom they are for, which a reconnect does not refill.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use presence_core::{Clock, UserId};
use presence_protocol::{ApiError, AppId, DeviceName, Puid};

use crate::settings::{Rate, ServiceSettings};

/// All buckets.
pub(crate) struct Rates {
    status: Buckets<(UserId, DeviceName)>,
    notify: Buckets<(AppId, Puid)>,
    connect: Buckets<IpAddr>,
    sign_in: Buckets<IpAddr>,
    failure: Buckets<IpAddr>,
    verify_domain: Buckets<AppId>,
}

/// Tries at once, then a second, to have a domain verified: each makes this server ask an address that its owner chose.
const VERIFY_DOMAIN: Rate = Rate { burst: 10, per_second: 1 };

impl Rates {
    pub(crate) fn new(settings: &ServiceSettings, clock: &Arc<dyn Clock>) -> Self {
        Self {
            status: Buckets::new(settings.status_rate, Arc::clone(clock)),
            notify: Buckets::new(settings.notify_rate, Arc::clone(clock)),
            connect: Buckets::new(settings.connect_rate, Arc::clone(clock)),
            sign_in: Buckets::new(settings.sign_in_rate, Arc::clone(clock)),
            failure: Buckets::new(settings.failure_rate, Arc::clone(clock)),
            verify_domain: Buckets::new(VERIFY_DOMAIN, Arc::clone(clock)),
        }
    }

    pub(crate) fn status(&self, user: UserId, device: &DeviceName) -> Result<(), ApiError> {
        self.status.take(&(user, device.clone()))
    }

    pub(crate) fn notify(&self, app: AppId, puid: Puid) -> Result<(), ApiError> {
        self.notify.take(&(app, puid))
    }

    pub(crate) fn connect(&self, address: IpAddr) -> Result<(), ApiError> {
        self.connect.take(&one_peer(address))
    }

    pub(crate) fn sign_in(&self, address: IpAddr) -> Result<(), ApiError> {
        self.sign_in.take(&one_peer(address))
    }

    pub(crate) fn failure(&self, address: IpAddr) -> Result<(), ApiError> {
        self.failure.take(&one_peer(address))
    }

    pub(crate) fn verify_domain(&self, app: AppId) -> Result<(), ApiError> {
        self.verify_domain.take(&app)
    }

    /// Forgets buckets that are full again.
    pub(crate) fn tidy(&self) {
        self.status.tidy();
        self.notify.tidy();
        self.connect.tidy();
        self.sign_in.tidy();
        self.failure.tidy();
        self.verify_domain.tidy();
    }
}

/// What counts as one address: with IPv6 a whole network of 64 bits, of which anybody has as many addresses as they like.
pub(crate) fn one_peer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        address @ IpAddr::V4(_) => address,
    }
}

const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// A token bucket for each key.
pub(crate) struct Buckets<K: Clone + Eq + Hash> {
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

impl<K: Clone + Eq + Hash> Buckets<K> {
    pub(crate) fn new(rate: Rate, clock: Arc<dyn Clock>) -> Self {
        let at_least_one = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        let quota =
            Quota::per_second(at_least_one(rate.per_second)).allow_burst(at_least_one(rate.burst));
        let clock = SteadyClock(clock);
        let state = DefaultKeyedStateStore::default();
        Self { limiter: RateLimiter::new(quota, state, clock.clone()), clock }
    }

    pub(crate) fn take(&self, key: &K) -> Result<(), ApiError> {
        self.limiter.check_key(key).map_err(|until| {
            let wait = until.wait_time_from(governor::clock::Clock::now(&self.clock));
            // It may be over by now, and nobody is told to wait no time at all.
            ApiError::slow_down(wait.max(SHORTEST_WAIT).as_secs_f64())
        })
    }

    /// Forgets buckets that are full again.
    pub(crate) fn tidy(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use presence_core::ManualClock;
    use presence_protocol::Errno;

    use super::*;

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_peer_and_a_mapped_ipv4_is_itself() {
        let peer = |text: &str| one_peer(text.parse().unwrap());
        assert_eq!(peer("2001:db8:1:2:3::4"), peer("2001:db8:1:2:ffff::1"));
        assert_ne!(peer("2001:db8:1:2::1"), peer("2001:db8:1:3::1"));
        assert_eq!(peer("::ffff:192.0.2.1"), peer("192.0.2.1"));
        assert_ne!(peer("192.0.2.1"), peer("192.0.2.2"));
    }

    fn buckets(rate: Rate) -> (Arc<ManualClock>, Buckets<&'static str>) {
        let clock = Arc::new(ManualClock::default());
        let buckets = Buckets::new(rate, Arc::<ManualClock>::clone(&clock));
        (clock, buckets)
    }

    #[test]
    fn a_bucket_gives_its_burst_then_says_how_long_to_wait() {
        let (clock, buckets) = buckets(Rate { burst: 5, per_second: 1 });
        assert!((0..5).all(|_| buckets.take(&"a").is_ok()));
        clock.advance(Duration::from_millis(250));
        let ko = buckets.take(&"a").unwrap_err();
        assert_eq!((ko.errno, ko.retry_after), (Errno::SlowDown, Some(0.75)));
        assert!(buckets.take(&"b").is_ok());
        clock.advance(Duration::from_millis(750));
        assert!(buckets.take(&"a").is_ok());
    }

    #[test]
    fn a_refusal_asks_for_at_least_the_shortest_wait() {
        let (_, buckets) = buckets(Rate { burst: 1, per_second: 1_000_000 });
        assert!(buckets.take(&"a").is_ok());
        assert_eq!(buckets.take(&"a").unwrap_err().retry_after, Some(0.001));
    }
}
