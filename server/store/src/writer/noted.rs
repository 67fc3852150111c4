//! The settlements that are noted in memory and not written yet.
//!
//! A settlement of its own commit would show by its time who takes notifications while hidden. So
//! the settlements of all users are noted, and written together from time to time.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use presence_core::model::{Settlement, UserId};
use presence_protocol::NotificationId;

/// The maximum number of settlements of one user. Further ones are written at once.
const MAX_OF_USER: usize = 2_000;
/// The maximum number of settlements of all users. Further ones are written at once.
const MAX_OF_ALL: usize = 200_000;

/// A noted settlement.
pub(super) type NotedSettlement = (NotificationId, Settlement);

/// The noted settlements, those of each user in their order.
#[derive(Default)]
pub(super) struct NotedSettlements(Mutex<NotedByUser>);

#[derive(Default)]
struct NotedByUser {
    users: HashMap<UserId, Vec<NotedSettlement>>,
    /// The number of settlements of all users.
    count: usize,
}

impl NotedSettlements {
    /// Notes settlements. Returns false if there are too many.
    pub(super) fn note(
        &self,
        user: UserId,
        ids: &[NotificationId],
        settlement: Settlement,
    ) -> bool {
        self.with(|noted| {
            let of_user = noted.users.get(&user).map_or(0, Vec::len);
            let is_full = |count: usize, max: usize| count + ids.len() > max;
            if is_full(of_user, MAX_OF_USER) || is_full(noted.count, MAX_OF_ALL) {
                return false;
            }
            if !ids.is_empty() {
                let settlements = ids.iter().map(|id| (*id, settlement));
                noted.users.entry(user).or_default().extend(settlements);
                noted.count += ids.len();
            }
            true
        })
    }

    /// Returns true if there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.with(|noted| noted.users.is_empty())
    }

    /// Returns true if a user has some.
    pub(super) fn has(&self, user: UserId) -> bool {
        self.with(|noted| noted.users.contains_key(&user))
    }

    /// Returns the ids of the notifications that the user's devices have settled.
    pub(super) fn ids_of(&self, user: UserId) -> HashSet<String> {
        self.with(|noted| {
            let settled = noted.users.get(&user).into_iter().flatten();
            settled.map(|(id, _)| id.to_string()).collect()
        })
    }

    /// Takes the settlements of a user.
    pub(super) fn take_of(&self, user: UserId) -> Vec<NotedSettlement> {
        self.with(|noted| noted.take_of(user))
    }

    /// Takes the settlements of some users, about `limit` in all.
    pub(super) fn take(&self, limit: usize) -> Vec<(UserId, Vec<NotedSettlement>)> {
        self.with(|noted| {
            let mut left = limit;
            let users: Vec<UserId> = noted
                .users
                .iter()
                .take_while(|(_, settlements)| {
                    let has_room = left > 0;
                    left = left.saturating_sub(settlements.len());
                    has_room
                })
                .map(|(user, _)| *user)
                .collect();
            users.into_iter().map(|user| (user, noted.take_of(user))).collect()
        })
    }

    /// Gives settlements back that could not be written.
    pub(super) fn put_back(&self, user: UserId, mut settlements: Vec<NotedSettlement>) {
        self.with(|noted| {
            noted.count += settlements.len();
            let of_user = noted.users.entry(user).or_default();
            settlements.append(of_user);
            *of_user = settlements;
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut NotedByUser) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl NotedByUser {
    fn take_of(&mut self, user: UserId) -> Vec<NotedSettlement> {
        let settlements = self.users.remove(&user).unwrap_or_default();
        self.count -= settlements.len();
        settlements
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(numbers: std::ops::Range<u128>) -> Vec<NotificationId> {
        numbers.map(NotificationId::from_bits).collect()
    }

    #[test]
    fn the_settlements_of_a_user_and_of_all_users_are_limited() {
        let noted = NotedSettlements::default();
        let note = |user, ids: &[NotificationId]| noted.note(user, ids, Settlement::Acked);
        assert!(note(UserId(0), &ids(0..2_000)));
        assert!(!note(UserId(0), &ids(2_000..2_001)));
        for user in 1..100 {
            assert!(note(UserId(user), &ids(0..2_000)));
        }
        assert!(!note(UserId(100), &ids(0..1)));
        assert_eq!(noted.take_of(UserId(0)).len(), 2_000);
        assert!(note(UserId(100), &ids(0..1)));
    }

    #[test]
    fn settlements_that_could_not_be_written_come_before_later_ones() {
        let noted = NotedSettlements::default();
        let user = UserId(1);
        assert!(noted.note(user, &ids(1..2), Settlement::Acked));
        let taken = noted.take(10);
        assert!(noted.is_empty() && noted.take(10).is_empty());
        assert!(noted.note(user, &ids(2..3), Settlement::Delivered));
        for (user, settlements) in taken {
            noted.put_back(user, settlements);
        }
        let [one, two] = [1, 2].map(NotificationId::from_bits);
        let expected = [(one, Settlement::Acked), (two, Settlement::Delivered)];
        assert_eq!(noted.take_of(user), expected);
        assert!(!noted.has(user));
    }
}
