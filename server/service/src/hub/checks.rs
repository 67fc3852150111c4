//! The times at which an Application last checked the presence of its users, for these users.

use std::collections::HashMap;

use presence_core::UnixMillis;
use presence_core::checks::{CheckTimes, Pause};
use presence_protocol::Puid;

/// The checks of one Application.
#[derive(Default)]
pub(super) struct Checks {
    /// The last check of all users.
    of_all: Option<UnixMillis>,
    /// The last checks of single users.
    of_user: HashMap<Puid, UnixMillis>,
    /// The last pauses since the start of the server.
    pauses: HashMap<Puid, Pause>,
    /// The last change of the Application's domain. Earlier checks do not count.
    domain_changed_at: Option<UnixMillis>,
}

impl Checks {
    /// Records a check of all users.
    pub(super) fn record_all(&mut self, now: UnixMillis) {
        self.of_all = self.of_all.max(Some(now));
    }

    /// Records a check of some users, who must have a grant.
    pub(super) fn record_users(&mut self, users: impl Iterator<Item = Puid>, now: UnixMillis) {
        self.of_user.extend(users.map(|puid| (puid, now)));
    }

    /// Returns the last check of all users.
    pub(super) fn last_of_all(&self) -> Option<UnixMillis> {
        self.of_all
    }

    /// Returns what is known of the checks of a user. `of_all` is the last check of all users.
    pub(super) fn times_of(&self, puid: Puid, of_all: Option<UnixMillis>) -> CheckTimes {
        CheckTimes {
            of_all,
            of_user: self.of_user.get(&puid).copied(),
            domain_changed_at: self.domain_changed_at,
            pause: self.pauses.get(&puid).copied(),
        }
    }

    /// Records that a grant is suspended, or no longer. `of_all` is the last check of all users.
    pub(super) fn set_suspended(
        &mut self,
        puid: Puid,
        suspended: bool,
        (of_all, now): (Option<UnixMillis>, UnixMillis),
    ) {
        let pause = self.times_of(puid, of_all).pause_after(suspended, now);
        self.pauses.insert(puid, pause);
    }

    /// Forgets all checks, since the domain of the Application has changed. Pauses go on.
    pub(super) fn forget_all(&mut self, now: UnixMillis) {
        (self.of_all, self.domain_changed_at) = (None, Some(now));
        self.of_user.clear();
        self.pauses.retain(|_, pause| pause.resumed_at.is_none());
    }

    /// Forgets a user who has revoked the grant.
    pub(super) fn forget(&mut self, puid: Puid) {
        self.of_user.remove(&puid);
        self.pauses.remove(&puid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: Puid = Puid::from_bits(1);
    const BOB: Puid = Puid::from_bits(2);

    fn at(millis: u64) -> UnixMillis {
        UnixMillis::new(millis)
    }

    #[test]
    fn a_check_of_other_users_does_not_count() {
        let mut checks = Checks::default();
        checks.record_users([BOB].into_iter(), at(5));
        let last = |checks: &Checks, puid| checks.times_of(puid, checks.last_of_all()).last();
        assert_eq!((last(&checks, ALICE), last(&checks, BOB)), (None, Some(at(5))));
        checks.record_all(at(6));
        assert_eq!(last(&checks, ALICE), Some(at(6)));
    }

    #[test]
    fn what_was_before_a_change_of_the_domain_is_forgotten_but_a_pause_goes_on() {
        let mut checks = Checks::default();
        checks.record_all(at(1));
        checks.record_users([BOB].into_iter(), at(1));
        checks.set_suspended(ALICE, true, (Some(at(1)), at(1)));
        checks.forget_all(at(2));
        let last = |checks: &Checks, puid| checks.times_of(puid, checks.last_of_all()).last();
        assert_eq!((last(&checks, ALICE), last(&checks, BOB)), (Some(at(1)), None));
        checks.record_all(at(3));
        assert_eq!((last(&checks, ALICE), last(&checks, BOB)), (Some(at(1)), Some(at(3))));
    }
}
