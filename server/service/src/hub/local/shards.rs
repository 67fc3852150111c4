//! The shards of users.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use presence_core::roster::ViewChange;
use presence_core::shard::Shard;
use presence_core::{Steady, UserId};

use crate::mailbox::Mailbox;

/// The number of shards: more than cores, so that two users seldom wait for each other.
const SHARDS: u8 = 64;

/// All shards. Changes are published before their shard is unlocked, so that two changes of a user
/// reach the topics in order.
pub(super) struct Shards(Vec<Mutex<Shard<Arc<Mailbox>>>>);

impl Shards {
    pub(super) fn new() -> Self {
        Self((0..SHARDS).map(|_| Mutex::default()).collect())
    }

    /// Works on the shard of a user, and publishes the changes.
    pub(super) fn with<T>(
        &self,
        user: UserId,
        publish: impl FnOnce(Vec<ViewChange>),
        work: impl FnOnce(&mut Shard<Arc<Mailbox>>, &mut Vec<ViewChange>) -> T,
    ) -> T {
        let index = usize::try_from(user.0.rem_euclid(i64::from(SHARDS))).unwrap_or(0);
        let mut changes = Vec::new();
        #[expect(clippy::indexing_slicing, reason = "the index is below the number of shards")]
        let mut shard = lock(&self.0[index]);
        let result = work(&mut shard, &mut changes);
        publish(changes);
        result
    }

    /// Ends the grace times that are over. Returns how late each of those was that changed what an
    /// Application sees.
    pub(super) fn tick(&self, now: Steady, publish: impl Fn(Vec<ViewChange>)) -> Vec<Duration> {
        let mut delays = Vec::new();
        for shard in &self.0 {
            let mut changes = Vec::new();
            let mut shard = lock(shard);
            delays.append(&mut shard.tick(now, &mut changes));
            publish(changes);
        }
        delays
    }

    /// Returns the number of users, and the number of notifications in their mailboxes.
    pub(super) fn users_and_mailboxes(&self) -> (usize, usize) {
        let (mut users, mut waiting) = (0, 0);
        for shard in &self.0 {
            for roster in lock(shard).rosters() {
                users += 1;
                waiting += roster.handles().map(|mailbox| mailbox.depth()).sum::<usize>();
            }
        }
        (users, waiting)
    }
}

fn lock(shard: &Mutex<Shard<Arc<Mailbox>>>) -> MutexGuard<'_, Shard<Arc<Mailbox>>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
