//! The last check of a user's presence by an Application, as the user sees it.

use presence_protocol::UnixMillis;

/// The last pause of a grant. What an Application checks meanwhile is not the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// The last check before the pause, if it is known.
    pub last_check: Option<UnixMillis>,
    /// The end of the pause, `None` while it lasts.
    pub resumed_at: Option<UnixMillis>,
}

/// The checks of one user by an Application.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckTimes {
    /// The last check of all users.
    pub of_all: Option<UnixMillis>,
    /// The last check of some users, of whom this is one.
    pub of_user: Option<UnixMillis>,
    /// The last change of the Application's domain. Earlier checks do not count.
    pub domain_changed_at: Option<UnixMillis>,
    /// The last pause, if it is known.
    pub pause: Option<Pause>,
}

impl CheckTimes {
    /// Returns the last check.
    pub fn last(&self) -> Option<UnixMillis> {
        let counts = |at: &UnixMillis| self.domain_changed_at.is_none_or(|changed| *at > changed);
        let last = self.of_all.filter(counts).max(self.of_user.filter(counts));
        match self.pause {
            None => last,
            Some(Pause { last_check, resumed_at: None }) => last_check,
            Some(Pause { last_check, resumed_at: Some(at) }) => {
                last.filter(|last| *last >= at).or(last_check)
            }
        }
    }

    /// Returns the last check of a user whose grant is suspended now, or is not. If it is not known
    /// when the suspension began, it is not known if a check was before.
    pub fn last_if(&self, suspended: bool) -> Option<UnixMillis> {
        self.last().filter(|_| !suspended || self.pause.is_some())
    }

    /// Returns the pause after the grant is suspended, or after it is not any more. If the
    /// beginning of a pause is not known, no check before its end counts.
    pub fn pause_after(&self, suspended: bool, now: UnixMillis) -> Pause {
        match (suspended, self.pause) {
            (true, Some(pause)) if pause.resumed_at.is_none() => pause,
            (true, _) => Pause { last_check: self.last(), resumed_at: None },
            (false, pause) => {
                let Pause { last_check, resumed_at } =
                    pause.unwrap_or(Pause { last_check: None, resumed_at: None });
                Pause { last_check, resumed_at: Some(resumed_at.unwrap_or(now)) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> UnixMillis {
        UnixMillis::new(millis)
    }

    #[test]
    fn the_last_check_stops_at_a_pause_and_later_ones_count_after_it() {
        let mut times = CheckTimes { of_all: Some(at(1)), ..CheckTimes::default() };
        times.pause = Some(times.pause_after(true, at(2)));
        times.of_all = Some(at(3));
        times.pause = Some(times.pause_after(true, at(4)));
        assert_eq!(times.last_if(true), Some(at(1)));
        times.pause = Some(times.pause_after(false, at(5)));
        assert_eq!(times.last_if(false), Some(at(1)));
        times.of_user = Some(at(6));
        assert_eq!(times.last_if(false), Some(at(6)));
    }

    #[test]
    fn checks_before_a_change_of_the_domain_or_during_an_unknown_suspension_do_not_count() {
        let mut times = CheckTimes {
            of_all: Some(at(1)),
            of_user: Some(at(2)),
            domain_changed_at: Some(at(2)),
            pause: None,
        };
        assert_eq!(times.last(), None);
        times.of_user = Some(at(3));
        assert_eq!(times.last_if(false), Some(at(3)));
        assert_eq!(times.last_if(true), None);
        times.pause = Some(times.pause_after(false, at(4)));
        assert_eq!(times.last(), None);
        times.of_all = Some(at(5));
        assert_eq!(times.last(), Some(at(5)));
    }
}
