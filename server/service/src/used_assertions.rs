//! The assertions that were used, so that an intercepted one opens nothing else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::sync::Cache;
use presence_core::{Clock, UnixMillis};
use presence_protocol::{ApiError, DeviceName, Errno};

/// The maximum number of assertions that are remembered.
const MAX_REMEMBERED: u64 = 200_000;
/// The time for which an expired assertion is still accepted, since clocks differ, and is therefore
/// remembered.
const CLOCK_SKEW: Duration = Duration::from_mins(2);

/// The purpose of an assertion. It can be used again for the same device only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Opening connections of one device.
    Device(DeviceName),
    /// Opening one session.
    Session,
}

/// An assertion that was used.
#[derive(Debug, Clone)]
struct UsedAssertion {
    purpose: Purpose,
    expires_at: UnixMillis,
}

/// The assertions that were used and have not expired, by digest.
pub(crate) struct UsedAssertions(Cache<[u8; 32], UsedAssertion>);

impl UsedAssertions {
    /// Creates an empty register.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let cache = Cache::builder().max_capacity(MAX_REMEMBERED).expire_after(AtExpiry(clock));
        Self(cache.build())
    }

    /// Records that an assertion is used for a purpose.
    ///
    /// # Errors
    ///
    /// `invalid_assertion` if it was used for another purpose, or has opened a session.
    pub(crate) fn claim(
        &self,
        digest: [u8; 32],
        purpose: &Purpose,
        expires_at: UnixMillis,
    ) -> Result<(), ApiError> {
        let used = UsedAssertion { purpose: purpose.clone(), expires_at };
        let entry = self.0.entry(digest).or_insert(used);
        let is_device_again = *purpose != Purpose::Session && entry.value().purpose == *purpose;
        if entry.is_fresh() || is_device_again {
            return Ok(());
        }
        Err(Errno::InvalidAssertion.into())
    }
}

/// Forgets an assertion once it is not accepted any more.
struct AtExpiry(Arc<dyn Clock>);

impl Expiry<[u8; 32], UsedAssertion> for AtExpiry {
    fn expire_after_create(
        &self,
        _: &[u8; 32],
        used: &UsedAssertion,
        _: Instant,
    ) -> Option<Duration> {
        Some(used.expires_at + CLOCK_SKEW - self.0.now())
    }
}

#[cfg(test)]
mod tests {
    use presence_core::ManualClock;

    use super::*;

    #[test]
    fn an_assertion_opens_one_session_or_connections_of_one_device() {
        let clock = ManualClock::new(UnixMillis::new(1_000));
        let (used, end) = (UsedAssertions::new(Arc::new(clock)), UnixMillis::new(2_000));
        let device = |name: &str| Purpose::Device(name.parse().unwrap());
        assert!(used.claim([1; 32], &device("phone"), end).is_ok());
        assert!(used.claim([1; 32], &device("phone"), end).is_ok());
        for other in [device("laptop"), Purpose::Session] {
            let error = used.claim([1; 32], &other, end).unwrap_err();
            assert_eq!(error.errno, Errno::InvalidAssertion);
        }
        assert!(used.claim([2; 32], &Purpose::Session, end).is_ok());
        assert!(used.claim([2; 32], &Purpose::Session, end).is_err());
    }
}
