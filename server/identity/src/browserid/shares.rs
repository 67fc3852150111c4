//! How much each client may have asked of others.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use presence_core::Clock;

/// How many hosts a client may have asked a minute, and at once.
const A_MINUTE: u32 = 10;
/// After how many questions the clients that have their whole share again are forgotten.
const TIDY_AFTER: u32 = 1_024;

/// The shares of all clients.
pub(super) struct Shares {
    buckets:
        RateLimiter<IpAddr, DefaultKeyedStateStore<IpAddr>, SteadyClock, NoOpMiddleware<Nanos>>,
    taken: AtomicU32,
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

impl Shares {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let quota = Quota::per_minute(NonZeroU32::new(A_MINUTE).unwrap_or(NonZeroU32::MIN));
        let state = DefaultKeyedStateStore::default();
        let buckets = RateLimiter::new(quota, state, SteadyClock(clock));
        Self { buckets, taken: AtomicU32::new(0) }
    }

    /// Takes from the share of a client; false where nothing is left of it.
    pub(super) fn take(&self, client: IpAddr) -> bool {
        if self.taken.fetch_add(1, Ordering::Relaxed) % TIDY_AFTER == TIDY_AFTER - 1 {
            self.buckets.retain_recent();
            self.buckets.shrink_to_fit();
        }
        self.buckets.check_key(&whose(client)).is_ok()
    }
}

/// A client as one pays for it: an IPv6 network of 64 bits is one client's.
fn whose(client: IpAddr) -> IpAddr {
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
    fn a_client_has_ten_questions_and_takes_none_from_others() {
        let clock = Arc::new(ManualClock::default());
        let shares = Shares::new(Arc::<ManualClock>::clone(&clock));
        let client = "192.0.2.1".parse().unwrap();
        assert_eq!((0..20).filter(|_| shares.take(client)).count(), 10);
        assert!(shares.take("192.0.2.2".parse().unwrap()));
        clock.advance(Duration::from_secs(6));
        assert!(shares.take(client) && !shares.take(client));
    }

    #[test]
    fn a_network_is_one_client() {
        let of = |text: &str| whose(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
