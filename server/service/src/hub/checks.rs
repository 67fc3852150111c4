//! The times at which an Application last checked the presence of its users, for these users.

use std::collections::HashMap;

use presence_core::UnixMillis;
use presence_protocol::Puid;

/// The checks of one user around the last pause of the grant.
struct Pause {
    /// The last check before the pause.
    before: Option<UnixMillis>,
    /// The end of the pause, `None` while it lasts.
    resumed_at: Option<UnixMillis>,
}

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

    /// Returns the last check of a user. `of_all` is the last check of all users.
    pub(super) fn last_of(&self, puid: Puid, of_all: Option<UnixMillis>) -> Option<UnixMillis> {
        let last = of_all.max(self.of_user.get(&puid).copied());
        match self.pauses.get(&puid) {
            None => last,
            Some(Pause { before, resumed_at: None }) => *before,
            Some(Pause { before, resumed_at: Some(at) }) => {
                last.filter(|last| last >= at).or(*before)
            }
        }
    }

    /// Records that a grant is suspended, or no longer. `of_all` is the last check of all users.
    /// If the beginning is not known, no check before the end counts.
    pub(super) fn set_suspended(
        &mut self,
        puid: Puid,
        suspended: bool,
        (of_all, now): (Option<UnixMillis>, UnixMillis),
    ) {
        let is_paused = self.pauses.get(&puid).is_some_and(|pause| pause.resumed_at.is_none());
        if suspended && !is_paused {
            let before = self.last_of(puid, of_all);
            self.pauses.insert(puid, Pause { before, resumed_at: None });
        } else if !suspended {
            let pause = self.pauses.entry(puid).or_insert(Pause { before: None, resumed_at: None });
            pause.resumed_at.get_or_insert(now);
        }
    }

    /// Forgets all checks, since the domain of the Application has changed. Pauses go on.
    pub(super) fn forget_all(&mut self, now: UnixMillis) {
        (self.of_all, self.domain_changed_at) = (None, Some(now));
        self.of_user.clear();
        self.pauses.retain(|_, pause| pause.resumed_at.is_none());
    }

    /// Returns true if a check at this time counts, though it was before the start of the server.
    pub(super) fn counts(&self, at: UnixMillis) -> bool {
        self.domain_changed_at.is_none_or(|changed_at| at > changed_at)
    }

    /// Returns true if the pause of a grant is known. It is not after a restart.
    pub(super) fn knows_pause(&self, puid: Puid) -> bool {
        self.pauses.contains_key(&puid)
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
        assert_eq!(checks.last_of(ALICE, checks.last_of_all()), None);
        assert_eq!(checks.last_of(BOB, checks.last_of_all()), Some(at(5)));
        checks.record_all(at(6));
        assert_eq!(checks.last_of(ALICE, checks.last_of_all()), Some(at(6)));
    }

    #[test]
    fn the_last_check_stops_at_a_pause_and_later_ones_count_after_it() {
        let mut checks = Checks::default();
        checks.record_all(at(1));
        checks.set_suspended(ALICE, true, (Some(at(1)), at(2)));
        checks.record_all(at(3));
        checks.set_suspended(ALICE, true, (Some(at(3)), at(4)));
        assert_eq!(checks.last_of(ALICE, Some(at(3))), Some(at(1)));
        checks.set_suspended(ALICE, false, (Some(at(3)), at(5)));
        assert_eq!(checks.last_of(ALICE, Some(at(3))), Some(at(1)));
        assert_eq!(checks.last_of(ALICE, Some(at(6))), Some(at(6)));
    }

    #[test]
    fn checks_before_a_change_of_the_domain_or_during_an_unknown_suspension_do_not_count() {
        let mut checks = Checks::default();
        checks.record_all(at(1));
        checks.record_users([BOB].into_iter(), at(1));
        checks.forget_all(at(2));
        assert_eq!(checks.last_of(ALICE, checks.last_of_all()), None);
        assert_eq!(checks.last_of(BOB, checks.last_of_all()), None);
        assert!(!checks.counts(at(1)) && checks.counts(at(3)));
        checks.record_all(at(3));
        checks.set_suspended(ALICE, false, (Some(at(3)), at(4)));
        assert_eq!(checks.last_of(ALICE, checks.last_of_all()), None);
        assert_eq!(checks.last_of(BOB, checks.last_of_all()), Some(at(3)));
        checks.record_all(at(5));
        assert_eq!(checks.last_of(ALICE, checks.last_of_all()), Some(at(5)));
    }
}
