//! The assertions that were used, so that an intercepted one opens nothing else.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use presence_core::expiring_map::{ExpiringMap, MapLimits, Moment};
use presence_core::{Clock, UnixMillis, UserId};
use presence_protocol::{ApiError, DeviceName, Errno};
use presence_store::{Live, NewOneTimeValue, OneTimeKind, OneTimeOutcome, Store, StoreError};

use crate::errors::from_store;
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
/// expires: if there is no room, a further assertion is refused. Where several servers share
/// presence, the database remembers them.
pub(crate) enum UsedAssertions {
    /// Those of a server that is alone.
    Own(OwnUsedAssertions),
    /// Those of all servers.
    Shared(SharedUsedAssertions),
}

impl UsedAssertions {
    /// Creates the register of a store, which remembers at most `for_each_user` assertions of a
    /// user.
    pub(crate) fn new(store: &Store, for_each_user: usize, clock: Arc<dyn Clock>) -> Self {
        match store.live() {
            Some(live) => {
                Self::Shared(SharedUsedAssertions { live: live.clone(), for_each_user, clock })
            }
            None => Self::Own(OwnUsedAssertions::new(for_each_user, clock)),
        }
    }

    /// Records that an assertion of a user is used for a purpose.
    ///
    /// # Errors
    ///
    /// `invalid_assertion` if it was used for another purpose, or has opened a session.
    /// `slow_down` if too many assertions of the user are remembered, or of all users.
    /// `storage_unavailable`.
    pub(crate) async fn claim(
        &self,
        digest: [u8; 32],
        (user, purpose): (UserId, Purpose),
        expires_at: UnixMillis,
    ) -> Result<(), ApiError> {
        match self {
            Self::Own(own) => own.claim(digest, (user, purpose), expires_at),
            Self::Shared(shared) => shared.claim(digest, (user, purpose), expires_at).await,
        }
    }

    /// Ends all assertions that let a device of a user in, and returns them.
    ///
    /// # Errors
    ///
    /// `storage_unavailable`.
    pub(crate) async fn end_device(
        &self,
        user: UserId,
        device: &DeviceName,
    ) -> Result<Vec<EndedAssertion>, ApiError> {
        match self {
            Self::Own(own) => Ok(own.end_device(user, device)),
            Self::Shared(shared) => shared.end_device(user, device).await,
        }
    }

    /// Checks that an assertion that was used is not ended.
    ///
    /// # Errors
    ///
    /// `invalid_assertion`, `storage_unavailable`.
    pub(crate) async fn check_not_ended(&self, digest: &[u8; 32]) -> Result<(), ApiError> {
        match self {
            Self::Own(own) => own.check_not_ended(digest),
            Self::Shared(shared) => shared.check_not_ended(digest).await,
        }
    }

    /// Records the assertions that an earlier run of the server has ended, also one whose database
    /// was copied.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub(crate) async fn restore(
        &self,
        ended: Vec<(UserId, EndedAssertion)>,
    ) -> Result<(), StoreError> {
        match self {
            Self::Own(used) => used.restore(ended),
            Self::Shared(used) => {
                let content = Purpose::Ended.to_bytes();
                used.live.restore_one_time((OneTimeKind::Assertion, &content), &ended).await?;
            }
        }
        Ok(())
    }
}

/// Returns the answer for an assertion that was used before, for the purpose `used`.
fn used_again(used: &Purpose, purpose: &Purpose) -> Result<(), ApiError> {
    let is_device_again = matches!(purpose, Purpose::Device(_)) && used == purpose;
    if is_device_again { Ok(()) } else { Err(Errno::InvalidAssertion.into()) }
}

/// The used assertions of all servers.
pub(crate) struct SharedUsedAssertions {
    live: Live,
    for_each_user: usize,
    clock: Arc<dyn Clock>,
}

impl SharedUsedAssertions {
    async fn claim(
        &self,
        digest: [u8; 32],
        (owner, purpose): (UserId, Purpose),
        expires_at: UnixMillis,
    ) -> Result<(), ApiError> {
        let (content, now) = (purpose.to_bytes(), self.clock.now());
        let expires_at = expires_at + CLOCK_SKEW;
        let kind = OneTimeKind::Assertion;
        let value = NewOneTimeValue { kind, digest, owner, content: &content, expires_at };
        let added = self.live.add_one_time(value, self.for_each_user, now).await;
        match added.map_err(from_store)? {
            OneTimeOutcome::New => Ok(()),
            OneTimeOutcome::Known(used) => used_again(&Purpose::from_bytes(&used), &purpose),
            OneTimeOutcome::Full(until) => Err(slow_down(until - now)),
        }
    }

    async fn end_device(
        &self,
        user: UserId,
        device: &DeviceName,
    ) -> Result<Vec<EndedAssertion>, ApiError> {
        let of_device = Purpose::Device(device.clone()).to_bytes();
        let (owner, ended) = ((OneTimeKind::Assertion, user), Purpose::Ended.to_bytes());
        self.live.change_one_time(owner, &of_device, &ended).await.map_err(from_store)
    }

    async fn check_not_ended(&self, digest: &[u8; 32]) -> Result<(), ApiError> {
        let found = self.live.one_time(OneTimeKind::Assertion, digest, self.clock.now()).await;
        let ended = Purpose::Ended.to_bytes();
        if found.map_err(from_store)?.is_some_and(|content| content == ended) {
            return Err(Errno::InvalidAssertion.into());
        }
        Ok(())
    }
}

impl Purpose {
    /// Returns the purpose as it is stored: a letter, and the name of the device.
    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Device(device) => format!("d{device}").into_bytes(),
            Self::Session => b"s".to_vec(),
            Self::Ended => b"e".to_vec(),
        }
    }

    /// Returns a stored purpose. One that no server writes lets nothing in.
    fn from_bytes(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        let device = text.strip_prefix('d').and_then(|name| name.parse().ok());
        match (device, text) {
            (Some(device), _) => Self::Device(device),
            (None, "s") => Self::Session,
            (None, _) => Self::Ended,
        }
    }
}

/// The used assertions of a server that is alone.
pub(crate) struct OwnUsedAssertions {
    purposes: Mutex<ExpiringMap<[u8; 32], UserId, Purpose>>,
    clock: Arc<dyn Clock>,
}

impl OwnUsedAssertions {
    /// Creates an empty register.
    fn new(for_each_user: usize, clock: Arc<dyn Clock>) -> Self {
        let limits = MapLimits { total: MAX_REMEMBERED, for_each_owner: for_each_user };
        Self { purposes: Mutex::new(ExpiringMap::new(limits)), clock }
    }

    fn claim(
        &self,
        digest: [u8; 32],
        (user, purpose): (UserId, Purpose),
        expires_at: UnixMillis,
    ) -> Result<(), ApiError> {
        let moment = Moment::of(&*self.clock);
        let mut purposes = self.purposes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(used) = purposes.get(&digest) {
            return used_again(used, &purpose);
        }
        purposes
            .insert(digest, (user, purpose), expires_at + CLOCK_SKEW, moment)
            .map_err(|full| slow_down(full.retry_after))
    }

    fn end_device(&self, user: UserId, device: &DeviceName) -> Vec<EndedAssertion> {
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

    fn check_not_ended(&self, digest: &[u8; 32]) -> Result<(), ApiError> {
        let purposes = self.purposes.lock().unwrap_or_else(PoisonError::into_inner);
        if purposes.get(digest) == Some(&Purpose::Ended) {
            return Err(Errno::InvalidAssertion.into());
        }
        Ok(())
    }

    /// Records the assertions that an earlier run of the server has ended. They have room: that
    /// run remembered them under the same limits.
    fn restore(&self, ended: Vec<(UserId, EndedAssertion)>) {
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

    fn used(for_each_user: usize) -> (OwnUsedAssertions, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new(UnixMillis::new(1_000)));
        (OwnUsedAssertions::new(for_each_user, Arc::<ManualClock>::clone(&clock)), clock)
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
        let restarted = OwnUsedAssertions::new(3, clock);
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
