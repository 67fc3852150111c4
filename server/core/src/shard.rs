//! A shard: the rosters of a part of the users, with the deadlines of their devices.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use hashbrown::HashMap;

use crate::clock::Steady;
use crate::model::UserId;
use crate::roster::{Roster, ViewChange};

/// The rosters of a part of the users. `H` is the handle of a connection.
pub struct Shard<H> {
    users: HashMap<UserId, Roster<H>>,
    deadlines: BinaryHeap<Reverse<(Steady, UserId)>>,
}

impl<H> Default for Shard<H> {
    fn default() -> Self {
        Self { users: HashMap::new(), deadlines: BinaryHeap::new() }
    }
}

impl<H> Shard<H> {
    /// Returns the roster of a user with a device that is connected or remembered.
    pub fn get_mut(&mut self, user: UserId) -> Option<&mut Roster<H>> {
        self.users.get_mut(&user)
    }

    /// Returns the roster of a user, and creates it if there is none.
    pub fn get_or_create(&mut self, user: UserId) -> &mut Roster<H> {
        self.users.entry(user).or_default()
    }

    /// Schedules a tick of a user's roster.
    pub fn schedule(&mut self, user: UserId, at: Steady) {
        self.deadlines.push(Reverse((at, user)));
    }

    /// Removes the roster of a user if it is empty.
    pub fn remove_if_empty(&mut self, user: UserId) {
        if self.users.get(&user).is_some_and(Roster::is_empty) {
            self.users.remove(&user);
        }
    }

    /// Ends the grace times that are over. Returns the delay after each deadline at which the view
    /// of an Application changed.
    pub fn tick(&mut self, now: Steady, changes: &mut Vec<ViewChange>) -> Vec<Duration> {
        let mut delays = Vec::new();
        while let Some(Reverse((at, user))) = self.deadlines.peek().copied() {
            if at > now {
                break;
            }
            self.deadlines.pop();
            let Some(roster) = self.users.get_mut(&user) else { continue };
            let changes_before = changes.len();
            if let Some(next) = roster.tick(now, changes) {
                self.deadlines.push(Reverse((next, user)));
            }
            if changes.len() > changes_before {
                delays.push(now - at);
            }
            self.remove_if_empty(user);
        }
        delays
    }

    /// Returns the number of open device connections.
    pub fn connections(&self) -> usize {
        self.users.values().map(|roster| roster.handles().count()).sum()
    }

    /// Returns the rosters of all users with a device that is connected or remembered.
    pub fn rosters(&self) -> impl Iterator<Item = &Roster<H>> {
        self.users.values()
    }
}

#[cfg(test)]
mod tests {
    use presence_protocol::{DeviceName, UnixMillis};

    use super::*;
    use crate::roster::{ConnectionId, ConnectionNumber, Disconnect, NewConnection};

    fn after(secs: u64) -> Steady {
        Steady::from_start(Duration::from_secs(secs))
    }

    #[test]
    fn the_roster_of_a_user_is_removed_when_the_grace_time_of_the_last_device_is_over() {
        let (mut shard, user) = (Shard::<()>::default(), UserId(1));
        let (device, number) = (DeviceName::default(), ConnectionNumber(1));
        let id = ConnectionId { device: &device, number };
        let new = NewConnection { id, handle: (), now: UnixMillis::new(0) };
        shard.get_or_create(user).connect(new, 20).unwrap();
        let roster = shard.get_mut(user).unwrap();
        roster.disconnect(id, Disconnect::Lost { until: after(5) }, &mut vec![]).unwrap();
        shard.schedule(user, after(5));
        shard.tick(after(4), &mut vec![]);
        assert!(shard.get_mut(user).is_some());
        shard.tick(after(5), &mut vec![]);
        assert!(shard.get_mut(user).is_none());
    }
}
