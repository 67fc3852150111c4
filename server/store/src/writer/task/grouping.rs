//! The operations of a group: what is requested of the writer, the releases, and the noted
//! settlements.

use std::collections::HashMap;

use presence_core::UserId;
use presence_protocol::limits::MAX_QUEUE_ITEMS;
use presence_protocol::{AppId, Puid};

use super::WriterTask;
use crate::writer::noted::NotedSettlement;
use crate::writer::settle::SettleNotedInput;
use crate::writer::write_op::WriteOp;

/// The maximum number of grants that are released in a transaction. Each may have a full queue.
const MAX_RELEASES: usize = 100;
/// About the maximum number of noted settlements in a transaction.
const MAX_SETTLEMENTS: usize = 5000;

impl WriterTask {
    /// Returns the next group. Releases come first, so that no receipt of the group comes before
    /// them. A settlement of a grant whose release is not in the group waits for its release.
    pub(super) fn gather(&mut self, first: Option<WriteOp>) -> Vec<WriteOp> {
        let mut group = self.inbox.take_group(first, self.max_group);
        let releases = self.take_releases(&group);
        if !releases.is_empty() {
            group.insert(0, WriteOp::Release(releases));
        }
        group
    }

    /// Takes the releases of the next group. After a failure they wait for a group that writes
    /// anyway: so the writer does not repeat them all the time, and loads do not fail with them.
    fn take_releases(&mut self, group: &[WriteOp]) -> Vec<(AppId, Puid)> {
        self.more_releases = false;
        if self.release_failed && group.iter().all(WriteOp::is_read_only) {
            return Vec::new();
        }
        let limit = self.max_group.min(MAX_RELEASES);
        let releases = self.hook.take_releases(limit);
        self.more_releases = releases.len() >= limit;
        releases
    }

    /// Adds the noted settlements that are to be written with a group: all of them, those of users
    /// whose connections end, or those of visible users whose queues would be full without them.
    /// They come after the releases, whose receipts are older.
    pub(super) async fn add_noted(&mut self, group: &mut Vec<WriteOp>) {
        for op in group.iter_mut() {
            if let WriteOp::Expire(request) = op {
                // A commit that came only after a settlement would show that there was one.
                request.input |= std::mem::take(&mut self.has_queued);
            }
        }
        let writes_all = std::mem::take(&mut self.writes_noted)
            || group.iter().any(|op| matches!(op, WriteOp::Expire(_) | WriteOp::Release(_)));
        if self.inbox.noted.is_empty() {
            return;
        }
        let taken: Vec<(UserId, Vec<NotedSettlement>)> = if writes_all {
            let taken = self.inbox.noted.take(MAX_SETTLEMENTS);
            self.writes_noted = !self.inbox.noted.is_empty();
            taken
        } else {
            let users = self.users_to_settle(group).await.into_iter();
            users.map(|user| (user, self.inbox.noted.take_of(user))).collect()
        };
        let settled = taken.into_iter().filter(|(_, settlements)| !settlements.is_empty());
        let settled = settled.map(|(user, settlements)| {
            WriteOp::SettleNoted(SettleNotedInput { user, settlements, immediate: Vec::new() })
        });
        let place = group.iter().take_while(|op| matches!(op, WriteOp::Release(_))).count();
        drop(group.splice(place..place, settled));
    }

    /// Returns the users of a group whose noted settlements cannot wait.
    async fn users_to_settle(&mut self, group: &[WriteOp]) -> Vec<UserId> {
        let mut users = Vec::new();
        let mut items: HashMap<Puid, usize> = HashMap::new();
        for op in group {
            match op {
                WriteOp::WriteNoted(request) => users.push(request.input),
                WriteOp::Notify(request) => {
                    for item in &request.input.items {
                        *items.entry(item.puid).or_default() += 1;
                    }
                }
                WriteOp::Settle(_)
                | WriteOp::SettleNoted(_)
                | WriteOp::Load(_)
                | WriteOp::Release(_)
                | WriteOp::Grant(_)
                | WriteOp::Pause(_)
                | WriteOp::Revoke(_)
                | WriteOp::ChangeDomain(_)
                | WriteOp::RevokeWaiting(_)
                | WriteOp::RemoveApp(_)
                | WriteOp::EraseUser(_)
                | WriteOp::Expire(_) => {}
            }
        }
        let puids: Vec<Puid> = items.keys().copied().collect();
        // An error of the database fails the group itself.
        if self.targets.read(&puids, self.store.read().pool()).await.is_ok() {
            users.extend(items.iter().filter_map(|(puid, count)| self.crowded_user(puid, *count)));
        }
        users
    }

    /// Returns the user of a grant whose queue would be full with some more items, although the
    /// receipts of noted settlements make room.
    fn crowded_user(&self, puid: &Puid, items: usize) -> Option<UserId> {
        let target = self.targets.get(puid)?;
        let is_crowded = target.rows + items > MAX_QUEUE_ITEMS
            && self.inbox.noted.has(target.user)
            && self.hook.grants_with_immediate_receipts(target.user).contains(puid);
        is_crowded.then_some(target.user)
    }
}
