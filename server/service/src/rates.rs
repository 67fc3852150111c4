//! How fast one may go: token buckets by whom they are for, which a reconnect does not refill.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use presence_core::UserId;
use presence_protocol::{AppId, DeviceName, Ko, Puid};

use crate::settings::{Rate, ServiceSettings};

/// All buckets.
pub(crate) struct Rates {
    status: Buckets<(UserId, DeviceName)>,
    notify: Buckets<(AppId, Puid)>,
    connect: Buckets<IpAddr>,
    verify_domain: Buckets<AppId>,
}

/// Tries at once, then a second, to have a domain verified: each makes this server ask an address that its owner chose.
const VERIFY_DOMAIN: Rate = Rate { burst: 10, per_second: 1 };

impl Rates {
    pub(crate) fn new(settings: &ServiceSettings) -> Self {
        Self {
            status: Buckets::new(settings.status_rate),
            notify: Buckets::new(settings.notify_rate),
            connect: Buckets::new(settings.connect_rate),
            verify_domain: Buckets::new(VERIFY_DOMAIN),
        }
    }

    pub(crate) fn status(&self, user: UserId, device: &DeviceName) -> Result<(), Ko> {
        self.status.take(&(user, device.clone()))
    }

    pub(crate) fn notify(&self, app: AppId, puid: Puid) -> Result<(), Ko> {
        self.notify.take(&(app, puid))
    }

    pub(crate) fn connect(&self, address: IpAddr) -> Result<(), Ko> {
        self.connect.take(&address)
    }

    pub(crate) fn verify_domain(&self, app: AppId) -> Result<(), Ko> {
        self.verify_domain.take(&app)
    }

    /// Forgets buckets that are full again.
    pub(crate) fn tidy(&self) {
        self.status.tidy();
        self.notify.tidy();
        self.connect.tidy();
        self.verify_domain.tidy();
    }
}

/// A token bucket for each key.
pub(crate) struct Buckets<K: Clone + Eq + Hash>(DefaultKeyedRateLimiter<K>);

impl<K: Clone + Eq + Hash> Buckets<K> {
    pub(crate) fn new(rate: Rate) -> Self {
        let at_least_one = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        let quota =
            Quota::per_second(at_least_one(rate.per_second)).allow_burst(at_least_one(rate.burst));
        Self(RateLimiter::keyed(quota))
    }

    pub(crate) fn take(&self, key: &K) -> Result<(), Ko> {
        self.0.check_key(key).map_err(|until| {
            Ko::slow_down(until.wait_time_from(DefaultClock::default().now()).as_secs_f64())
        })
    }

    /// Forgets buckets that are full again.
    pub(crate) fn tidy(&self) {
        self.0.retain_recent();
        self.0.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use presence_protocol::Errno;

    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_then_says_how_long_to_wait() {
        let buckets = Buckets::new(Rate { burst: 5, per_second: 1 });
        assert!((0..5).all(|_| buckets.take(&"a").is_ok()));
        let ko = buckets.take(&"a").unwrap_err();
        assert_eq!(ko.errno, Errno::SlowDown);
        assert!((0.5..=1.0).contains(&ko.retry_after.unwrap()));
        assert!(buckets.take(&"b").is_ok());
    }
}
