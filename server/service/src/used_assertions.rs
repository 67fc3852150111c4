//! The assertions that were used, so that an intercepted one opens nothing else.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use presence_core::expiring_map::{ExpiringMap, MapLimits, Moment};
use presence_core::{Clock, UnixMillis, UserId};
use presence_protocol::{ApiError, DeviceName, Errno};

use crate::rates::slow_down;

/// The maximum number of assertions that are remembered.
pub(crate) const MAX_REMEMBERED: usize = 200_000;
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
    /// None any more: its user has ended the device that it let in.
    Ended,
}

/// An assertion that let an ended device in, with the time until which it is remembered.
pub(crate) type EndedAssertion = ([u8; 32], UnixMillis);

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
            let is_device_again = matches!(purpose, Purpose::Device(_)) && *used == purpose;
            return if is_device_again { Ok(()) } else { Err(Errno::InvalidAssertion.into()) };
        }
        purposes
            .insert(digest, (user, purpose), expires_at + CLOCK_SKEW, moment)
            .map_err(|full| slow_down(full.retry_after))
    }

    /// Ends all assertions that let a device of a user in, and returns them.
    pub(crate) fn end_device(&self, user: UserId, device: &DeviceName) -> Vec<EndedAssertion> {
        let mut ended = Vec::new();
        let of_device = Purpose::Device(device.clone());
        let mut purposes = self.purposes.lock().unwrap_or_else(PoisonError::into_inner);
        purposes.update_each_of(&user, |digest, purpose, ends_at| {
            if *purpose == of_device {
                *purpose = Purpose::Ended;
                ended.push((*digest, ends_at));
            }
        });
        ended
    }

    /// Checks that an assertion that was used is not ended.
    ///
    /// # Errors
    ///
    /// `invalid_assertion`.
    pub(crate) fn check_not_ended(&self, digest: &[u8; 32]) -> Result<(), ApiError> {
        let purposes = self.purposes.lock().unwrap_or_else(PoisonError::into_inner);
        if purposes.get(digest) == Some(&Purpose::Ended) {
            return Err(Errno::InvalidAssertion.into());
        }
        Ok(())
    }

    /// Records the assertions that an earlier run of the server has ended. They have room: that
    /// run remembered them under the same limits.
    pub(crate) fn restore(&self, ended: Vec<(UserId, EndedAssertion)>) {
        let moment = Moment::of(&*self.clock);
        let mut purposes = self.purposes.lock().unwrap_or_else(PoisonError::into_inner);
        for (user, (digest, ends_at)) in ended {
            // A smaller quota than that of the earlier run leaves the last ones out.
            purposes.insert(digest, (user, Purpose::Ended), ends_at, moment).ok();
        }
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

    #[test]
    fn an_assertion_that_let_an_ended_device_in_opens_nothing_also_after_a_restart() {
        let (used, clock) = used(3);
        let device = |name: &str| Purpose::Device(name.parse().unwrap());
        for (digest, name) in [([1; 32], "lost"), ([2; 32], "lost"), ([3; 32], "phone")] {
            assert!(used.claim(digest, (ALICE, device(name)), END).is_ok());
        }
        assert!(used.claim([4; 32], (BOB, device("lost")), END).is_ok());
        let mut ended = used.end_device(ALICE, &"lost".parse().unwrap());
        ended.sort_unstable();
        assert_eq!(ended, [([1; 32], END + CLOCK_SKEW), ([2; 32], END + CLOCK_SKEW)]);
        let restarted = UsedAssertions::new(3, clock);
        restarted.restore(ended.into_iter().map(|ended| (ALICE, ended)).collect());
        for used in [&used, &restarted] {
            for digest in [[1; 32], [2; 32]] {
                assert!(used.check_not_ended(&digest).is_err());
                for purpose in [device("lost"), Purpose::Ended, Purpose::Session] {
                    assert!(used.claim(digest, (ALICE, purpose), END).is_err());
                }
            }
            assert!(used.claim([3; 32], (ALICE, device("phone")), END).is_ok());
            assert!(used.claim([4; 32], (BOB, device("lost")), END).is_ok());
        }
    }
}
