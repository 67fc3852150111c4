//! The quota of requests to other hosts that each client may cause (see threat 2 in SECURITY.md).

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use presence_core::Clock;

/// The number of requests per minute that one client may cause, and the size of a burst.
const REQUESTS_PER_MINUTE: u32 = 10;
/// The number of requests between two removals of clients whose quota is full again.
const CLEANUP_INTERVAL: u32 = 1_024;

/// The quotas of all clients.
pub(super) struct ClientQuotas {
    buckets:
        RateLimiter<IpAddr, DefaultKeyedStateStore<IpAddr>, GovernorClock, NoOpMiddleware<Nanos>>,
    requests: AtomicU32,
}

/// The monotonic time of the injected clock, for governor.
#[derive(Clone)]
struct GovernorClock(Arc<dyn Clock>);

impl governor::clock::Clock for GovernorClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.steady().since_start().into()
    }
}

impl ClientQuotas {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let quota =
            Quota::per_minute(NonZeroU32::new(REQUESTS_PER_MINUTE).unwrap_or(NonZeroU32::MIN));
        let state = DefaultKeyedStateStore::default();
        let buckets = RateLimiter::new(quota, state, GovernorClock(clock));
        Self { buckets, requests: AtomicU32::new(0) }
    }

    /// Takes one request from the quota of a client. Returns false if none is left.
    pub(super) fn try_acquire(&self, client: IpAddr) -> bool {
        if self.requests.fetch_add(1, Ordering::Relaxed) % CLEANUP_INTERVAL == CLEANUP_INTERVAL - 1
        {
            self.buckets.retain_recent();
            self.buckets.shrink_to_fit();
        }
        self.buckets.check_key(&quota_key(client)).is_ok()
    }
}

/// Returns the address that a client is counted by: an IPv6 network of 64 bits is one client.
fn quota_key(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use presence_core::ManualClock;

    use super::*;

    #[test]
    fn a_client_has_a_quota_of_ten_requests_that_others_do_not_use_up() {
        let clock = Arc::new(ManualClock::default());
        let quotas = ClientQuotas::new(Arc::<ManualClock>::clone(&clock));
        let client = "192.0.2.1".parse().unwrap();
        assert_eq!((0..20).filter(|_| quotas.try_acquire(client)).count(), 10);
        assert!(quotas.try_acquire("192.0.2.2".parse().unwrap()));
        clock.advance(Duration::from_secs(6));
        assert!(quotas.try_acquire(client) && !quotas.try_acquire(client));
    }

    #[test]
    fn an_ipv6_network_of_64_bits_is_one_client() {
        let key = |text: &str| quota_key(text.parse().unwrap());
        assert_eq!(key("2001:db8:1:2:3::4"), key("2001:db8:1:2:ffff::1"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
    }
}
