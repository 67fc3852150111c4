//! The quota of requests to other hosts that each client may cause (see threat 2 in SECURITY.md).

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use presence_core::Clock;
use presence_core::token_buckets::{BucketSize, TokenBuckets};

/// The number of requests that one client may cause at once, and in a minute.
const REQUESTS_PER_MINUTE: u32 = 10;
/// The maximum number of clients with a quota that is not full.
const MAX_CLIENTS: usize = 100_000;

/// The quotas of all clients.
pub(super) struct ClientQuotas {
    buckets: Mutex<TokenBuckets<IpAddr>>,
    hasher: RandomState,
    clock: Arc<dyn Clock>,
}

impl ClientQuotas {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let interval = Duration::from_mins(1) / REQUESTS_PER_MINUTE;
        let size = BucketSize { burst: REQUESTS_PER_MINUTE, interval };
        let buckets = Mutex::new(TokenBuckets::new(size, MAX_CLIENTS));
        Self { buckets, hasher: RandomState::new(), clock }
    }

    /// Takes one request from the quota of a client. Returns false if none is left.
    pub(super) fn try_acquire(&self, client: IpAddr) -> bool {
        let (now, key) = (self.clock.steady(), quota_key(client));
        let hash = self.hasher.hash_one(key);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.take(hash, &key, now).is_ok()
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
