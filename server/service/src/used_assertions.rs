//! The assertions that were used, so that an intercepted one opens nothing else.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use presence_core::expiring_map::{ExpiringMap, MapLimits, Moment};
use presence_core::{Clock, UnixMillis, UserId};
use presence_protocol::{ApiError, DeviceName, Errno};

use crate::rates::slow_down;

/// The maximum number of assertions that are remembered.
const MAX_REMEMBERED: usize = 200_000;
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

/// The assertions that were used and have not expired, by digest. None is forgotten before it
/// expires: if there is no room, a further assertion is refused.
pub(crate) struct UsedAssertions {
    purposes: Mutex<ExpiringMap<[u8; 32], UserId, Purpose>>,
    clock: Arc<dyn Clock>,
}

impl UsedAssertions {
    /// Creates an empty register, which remembers at most `for_each_user` assertions of a user.
    pub(crate) fn new(for_each_user: usize, clock: Arc<dyn Clock>) -> Self {
        let limits = MapLimits { total: MAX_REMEMBERED, for_each_owner: for_each_user };
        Self { purposes: Mutex::new(ExpiringMap::new(limits)), clock }
    }

    /// Records that an assertion of a user is used for a purpose.
    ///
    /// # Errors
    ///
    /// `invalid_assertion` if it was used for another purpose, or has opened a session.
    /// `slow_down` if too many assertions of the user are remembered, or of all users.
    pub(crate) fn claim(
        &self,
        digest: [u8; 32],
        (user, purpose): (UserId, Purpose),
        expires_at: UnixMillis,
    ) -> Result<(), ApiError> {
        let moment = Moment::of(&*self.clock);
        let mut purposes = self.purposes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(used) = purposes.get(&digest) {
            let is_device_again = purpose != Purpose::Session && *used == purpose;
            return if is_device_again { Ok(()) } else { Err(Errno::InvalidAssertion.into()) };
        }
        purposes
            .insert(digest, (user, purpose), expires_at + CLOCK_SKEW, moment)
            .map_err(|full| slow_down(full.retry_after))
    }
}

#[cfg(test)]
mod tests {
    use presence_core::ManualClock;

    use super::*;

    const ALICE: UserId = UserId(1);
    const BOB: UserId = UserId(2);
    const END: UnixMillis = UnixMillis::new(2_000);

    fn used(for_each_user: usize) -> (UsedAssertions, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new(UnixMillis::new(1_000)));
        (UsedAssertions::new(for_each_user, Arc::<ManualClock>::clone(&clock)), clock)
    }

    #[test]
    fn an_assertion_opens_one_session_or_connections_of_one_device() {
        let (used, _) = used(100);
        let device = |name: &str| Purpose::Device(name.parse().unwrap());
        assert!(used.claim([1; 32], (ALICE, device("phone")), END).is_ok());
        assert!(used.claim([1; 32], (ALICE, device("phone")), END).is_ok());
        for other in [device("laptop"), Purpose::Session] {
            let error = used.claim([1; 32], (ALICE, other), END).unwrap_err();
            assert_eq!(error.errno, Errno::InvalidAssertion);
        }
        assert!(used.claim([2; 32], (ALICE, Purpose::Session), END).is_ok());
        assert!(used.claim([2; 32], (ALICE, Purpose::Session), END).is_err());
    }

    #[test]
    fn a_user_with_a_full_quota_has_to_wait_and_no_used_assertion_is_forgotten() {
        let (used, clock) = used(2);
        assert!(used.claim([9; 32], (BOB, Purpose::Session), END).is_ok());
        assert!((0..2).all(|n| used.claim([n; 32], (ALICE, Purpose::Session), END).is_ok()));
        for n in 2..9 {
            let error = used.claim([n; 32], (ALICE, Purpose::Session), END).unwrap_err();
            assert_eq!((error.errno, error.retry_after), (Errno::SlowDown, Some(121.0)));
        }
        assert!(used.claim([8; 32], (BOB, Purpose::Session), END).is_ok());
        for (digest, user) in [([0; 32], ALICE), ([1; 32], ALICE), ([9; 32], BOB)] {
            let error = used.claim(digest, (user, Purpose::Session), END).unwrap_err();
            assert_eq!(error.errno, Errno::InvalidAssertion);
        }
        clock.advance(Duration::from_secs(121));
        let end = END + Duration::from_mins(5);
        assert!(used.claim([2; 32], (ALICE, Purpose::Session), end).is_ok());
    }
}
