//! The users whose devices have left their server, which does not know it yet.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use presence_core::UserId;

/// The users who are to be announced.
#[derive(Default)]
pub(super) struct MovedUsers(Mutex<BTreeSet<UserId>>);

/// The users who are being announced. Those who were not are kept for the next time, also if the
/// announcement is given up.
pub(super) struct MovingUsers<'a> {
    moved: &'a MovedUsers,
    users: BTreeSet<UserId>,
}

impl MovedUsers {
    /// Adds a user.
    pub(super) fn add(&self, user: UserId) {
        self.lock().insert(user);
    }

    /// Takes all users.
    pub(super) fn take(&self) -> MovingUsers<'_> {
        MovingUsers { moved: self, users: std::mem::take(&mut *self.lock()) }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<UserId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MovingUsers<'_> {
    /// Returns the users.
    pub(super) fn to_vec(&self) -> Vec<UserId> {
        self.users.iter().copied().collect()
    }

    /// Records that all were announced.
    pub(super) fn end(mut self) {
        self.users.clear();
    }
}

impl Drop for MovingUsers<'_> {
    fn drop(&mut self) {
        if !self.users.is_empty() {
            self.moved.lock().append(&mut self.users);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_whose_announcement_is_given_up_are_announced_the_next_time() {
        let moved = MovedUsers::default();
        moved.add(UserId(2));
        drop(moved.take());
        moved.add(UserId(1));
        let moving = moved.take();
        assert_eq!(moving.to_vec(), [UserId(1), UserId(2)]);
        moving.end();
        assert!(moved.take().to_vec().is_empty());
    }
}
