//! The devices that their users have ended, and what may not open them again.
//!
//! The sessions that let such a device in are deleted. Until the last older session of the user has
//! expired, this register also refuses the assertions that let the device in, and the device's name
//! to every session that is older than its end. The register is in memory, as the used assertions
//! are: a restart forgets it, while the deleted sessions stay deleted.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use presence_core::{Clock, Steady, UserId};
use presence_protocol::{ApiError, DeviceName, Errno};

/// The maximum number of ended devices of a user. Beyond it the one that ended first is forgotten.
const MAX_DEVICES: usize = 100;
/// The maximum number of ended assertions of a user. Beyond it the one that ended first is
/// forgotten.
const MAX_ASSERTIONS: usize = 200;

/// A device that its user has ended.
struct EndedName {
    name: DeviceName,
    /// The sessions that the user had at that time, except the one that opens the device again.
    sessions: Vec<[u8; 32]>,
    until: Steady,
}

/// The devices and sign-ins that a user has ended.
#[derive(Default)]
struct EndedByUser {
    devices: VecDeque<EndedName>,
    assertions: VecDeque<([u8; 32], Steady)>,
}

/// The devices that their users have ended.
pub(crate) struct EndedDevices {
    users: Mutex<HashMap<UserId, EndedByUser>>,
    clock: Arc<dyn Clock>,
    /// The lifetime of a session, after which no older proof is left.
    lifetime: Duration,
}

/// The proofs that may not open an ended device again.
pub(crate) struct EndedProofs {
    /// The sessions of the user that are older than the end of the device.
    pub(crate) sessions: Vec<[u8; 32]>,
    /// The assertions that let the device in.
    pub(crate) assertions: Vec<[u8; 32]>,
}

impl EndedDevices {
    /// Creates an empty register. `lifetime` is that of a session.
    pub(crate) fn new(clock: Arc<dyn Clock>, lifetime: Duration) -> Self {
        Self { users: Mutex::default(), clock, lifetime }
    }

    /// Records that a user has ended a device.
    pub(crate) fn record(&self, user: UserId, name: &DeviceName, proofs: EndedProofs) {
        let EndedProofs { sessions, assertions } = proofs;
        let until = self.clock.steady() + self.lifetime;
        let mut users = self.users();
        let ended = users.entry(user).or_default();
        ended.devices.retain(|device| device.name != *name);
        ended.devices.push_back(EndedName { name: name.clone(), sessions, until });
        ended.assertions.extend(assertions.into_iter().map(|digest| (digest, until)));
        while ended.devices.len() > MAX_DEVICES {
            ended.devices.pop_front();
        }
        while ended.assertions.len() > MAX_ASSERTIONS {
            ended.assertions.pop_front();
        }
    }

    /// Checks that a session of a user may open a device.
    ///
    /// # Errors
    ///
    /// `session_expired` if the user has ended the device since the session was opened.
    pub(crate) fn check_session(
        &self,
        user: UserId,
        name: &DeviceName,
        session: &[u8; 32],
    ) -> Result<(), ApiError> {
        let users = self.users();
        let mut devices = users.get(&user).into_iter().flat_map(|ended| &ended.devices);
        if devices.any(|device| device.name == *name && device.sessions.contains(session)) {
            return Err(Errno::SessionExpired.into());
        }
        Ok(())
    }

    /// Checks that an assertion of a user may open a device.
    ///
    /// # Errors
    ///
    /// `invalid_assertion` if it let a device in that the user has ended.
    pub(crate) fn check_assertion(
        &self,
        user: UserId,
        assertion: &[u8; 32],
    ) -> Result<(), ApiError> {
        let users = self.users();
        let mut assertions = users.get(&user).into_iter().flat_map(|ended| &ended.assertions);
        if assertions.any(|(digest, _)| digest == assertion) {
            return Err(Errno::InvalidAssertion.into());
        }
        Ok(())
    }

    /// Forgets the devices whose older sessions have all expired.
    pub(crate) fn prune(&self) {
        let now = self.clock.steady();
        self.users().retain(|_, ended| {
            ended.devices.retain(|device| device.until > now);
            ended.assertions.retain(|(_, until)| *until > now);
            !ended.devices.is_empty() || !ended.assertions.is_empty()
        });
    }

    fn users(&self) -> MutexGuard<'_, HashMap<UserId, EndedByUser>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use presence_core::{ManualClock, UnixMillis};

    use super::*;

    const ALICE: UserId = UserId(1);
    const LIFETIME: Duration = Duration::from_hours(24);

    fn name(text: &str) -> DeviceName {
        text.parse().unwrap()
    }

    fn register() -> (EndedDevices, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new(UnixMillis::new(1_000)));
        (EndedDevices::new(Arc::<ManualClock>::clone(&clock), LIFETIME), clock)
    }

    fn proofs(session: u8, assertion: u8) -> EndedProofs {
        EndedProofs { sessions: vec![[session; 32]], assertions: vec![[assertion; 32]] }
    }

    #[test]
    fn an_older_session_does_not_open_the_ended_device_and_a_later_one_does() {
        let (ended, _) = register();
        ended.record(ALICE, &name("lost"), proofs(1, 9));
        let check = |user, device: &str, session| {
            ended.check_session(user, &name(device), &[session; 32]).map_err(|error| error.errno)
        };
        assert_eq!(check(ALICE, "lost", 1), Err(Errno::SessionExpired));
        assert_eq!(check(ALICE, "lost", 2), Ok(()));
        assert_eq!(check(ALICE, "phone", 1), Ok(()));
        assert_eq!(check(UserId(2), "lost", 1), Ok(()));
        let refused = ended.check_assertion(ALICE, &[9; 32]).map_err(|error| error.errno);
        assert_eq!(refused, Err(Errno::InvalidAssertion));
        assert!(ended.check_assertion(ALICE, &[8; 32]).is_ok());
    }

    #[test]
    fn a_user_who_ends_devices_all_day_uses_a_bounded_amount_of_memory() {
        let (ended, clock) = register();
        for n in 0..=MAX_DEVICES {
            ended.record(ALICE, &name(&format!("d{n}")), proofs(1, 9));
        }
        let users = ended.users();
        assert_eq!(users[&ALICE].devices.len(), MAX_DEVICES);
        assert!(users[&ALICE].assertions.len() <= MAX_ASSERTIONS);
        drop(users);
        clock.advance(LIFETIME);
        ended.prune();
        assert!(ended.users().is_empty());
    }
}
