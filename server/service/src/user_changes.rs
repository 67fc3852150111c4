//! The rate of the changes that a user makes to what Applications see, whichever way they are made.
//!
//! Each change that Applications see costs every one of them an entry of its log. So all of a
//! user's devices, grants and pauses share one bucket.

use std::sync::Arc;

use hashbrown::DefaultHashBuilder;
use presence_core::{Clock, UserId};
use presence_protocol::ApiError;

use crate::rates::KeyedRateLimiter;
use crate::settings::ServiceSettings;

/// The effect of a change on what Applications see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChangeEffect {
    /// They see no change.
    Nothing,
    /// They see less. Such a change is never refused.
    Hides,
    /// They see something else, or more.
    Shows,
}

/// The changes of all users.
pub(crate) struct UserChanges(KeyedRateLimiter<UserId, DefaultHashBuilder>);

impl UserChanges {
    pub(crate) fn new(settings: &ServiceSettings, clock: Arc<dyn Clock>) -> Self {
        Self(KeyedRateLimiter::new(settings.user_change_rate, clock))
    }

    /// Counts a change that shows something.
    ///
    /// # Errors
    ///
    /// `slow_down` if the user has made too many changes.
    pub(crate) fn show(&self, user: UserId) -> Result<(), ApiError> {
        self.0.check(&user)
    }

    /// Uncounts a change that shows something, and was refused for another reason.
    pub(crate) fn uncount_show(&self, user: UserId) {
        self.0.give_back(&user);
    }

    /// Counts a change that hides something. It is never refused: the next ones that show something
    /// wait for both.
    pub(crate) fn hide(&self, user: UserId) {
        self.0.charge(&user);
    }

    /// Forgets the users who may make their full number of changes again.
    pub(crate) fn prune(&self) {
        self.0.prune();
    }
}

#[cfg(test)]
mod tests {
    use presence_core::ManualClock;
    use presence_protocol::Errno;

    use super::*;
    use crate::settings::Rate;
    use crate::testing;

    #[test]
    fn hiding_is_never_refused_and_showing_waits_for_both() {
        let clock = Arc::new(ManualClock::default());
        let user_change_rate = Rate { burst: 4, per_second: 1 };
        let settings = ServiceSettings { user_change_rate, ..testing::settings() };
        let changes = UserChanges::new(&settings, clock);
        let user = UserId(1);
        for _ in 0..2 {
            changes.hide(user);
            assert!(changes.show(user).is_ok());
        }
        let refused = changes.show(user).unwrap_err();
        assert_eq!((refused.errno, refused.retry_after), (Errno::SlowDown, Some(1.0)));
        changes.hide(user);
        assert_eq!(changes.show(user).unwrap_err().retry_after, Some(2.0));
        assert!(changes.show(UserId(2)).is_ok());
    }
}
