//! Some of the users, with the deadlines of their devices.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use crate::clock::Steady;
use crate::model::UserId;
use crate::roster::{Roster, ViewChange};

/// Some of the users.
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
    /// A user of whom a device is or was just here.
    pub fn find(&mut self, user: UserId) -> Option<&mut Roster<H>> {
        self.users.get_mut(&user)
    }

    /// A user of whom a device comes.
    pub fn enter(&mut self, user: UserId) -> &mut Roster<H> {
        self.users.entry(user).or_default()
    }

    /// Looks at a user again at that time.
    pub fn look_again(&mut self, user: UserId, at: Steady) {
        self.deadlines.push(Reverse((at, user)));
    }

    /// Forgets a user of whom nothing must be remembered.
    pub fn tidy(&mut self, user: UserId) {
        if self.users.get(&user).is_some_and(Roster::is_empty) {
            self.users.remove(&user);
        }
    }

    /// Ends the grace times that are over. Returns how late each of those was that changed what an Application sees.
    pub fn tick(&mut self, now: Steady, out: &mut Vec<ViewChange>) -> Vec<Duration> {
        let mut late = Vec::new();
        while let Some(Reverse((at, user))) = self.deadlines.peek().copied() {
            if at > now {
                break;
            }
            self.deadlines.pop();
            let Some(roster) = self.users.get_mut(&user) else { continue };
            let told = out.len();
            if let Some(next) = roster.tick(now, out) {
                self.deadlines.push(Reverse((next, user)));
            }
            if out.len() > told {
                late.push(now - at);
            }
            self.tidy(user);
        }
        late
    }

    /// How many device connections are open.
    pub fn connections(&self) -> usize {
        self.users.values().map(|roster| roster.connected().count()).sum()
    }

    /// All users of whom a device is or was just here.
    pub fn rosters(&self) -> impl Iterator<Item = &Roster<H>> {
        self.users.values()
    }
}

#[cfg(test)]
mod tests {
    use presence_protocol::{DeviceName, UnixMillis};

    use super::*;
    use crate::roster::{Disconnect, NewConnection};

    fn at(seconds: u64) -> Steady {
        Steady::from_start(Duration::from_secs(seconds))
    }

    #[test]
    fn a_user_whose_last_device_is_out_of_grace_is_forgotten() {
        let (mut shard, user) = (Shard::<()>::default(), UserId(1));
        let name = DeviceName::default();
        let arrival =
            NewConnection { name: &name, handle: (), generation: 1, now: UnixMillis::default() };
        shard.enter(user).arrive(arrival, 20).unwrap();
        let roster = shard.find(user).unwrap();
        roster.leave((&name, 1), Disconnect::Lost { until: at(5) }, &mut vec![]).unwrap();
        shard.look_again(user, at(5));
        shard.tick(at(4), &mut vec![]);
        assert!(shard.find(user).is_some());
        shard.tick(at(5), &mut vec![]);
        assert!(shard.find(user).is_none());
    }
}
