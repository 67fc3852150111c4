//! The stream of one Application: the latest update of each user, and a log of updates and receipts
//! from which readers are served.
//!
//! The stream alone assigns versions and cursors, makes snapshots from its own table, and decides
//! when the Application may get a receipt. If several servers share the stream, the database does
//! this, and each server has a [`replica`].

pub(crate) mod log;
pub mod replica;
pub(crate) mod updates;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use hashbrown::HashMap;
use presence_protocol::app::Receipt;
use presence_protocol::{OfflineCause, PresenceUpdate, Puid, Status, UnixMillis};

use self::log::{LogEntry, LogItem, LoggedChange};
use self::updates::{COUNTER_BITS, initial_update, into_view, next_update, revoked_update, shows};
use crate::chunked_queue::ChunkedQueue;
use crate::clock::Steady;
pub use crate::receipt_hold::HoldEnd;
use crate::receipt_hold::ReceiptHolds;
use crate::view::View;

/// The part of the log that a stream keeps for readers that resume.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// The maximum number of log entries.
    pub entries: usize,
    /// The maximum age of a log entry.
    pub age: Duration,
    /// The maximum number of bytes of all entries. The oldest ones are removed beyond it.
    pub bytes: usize,
}

struct Row {
    /// The latest update that the Application got.
    published: PresenceUpdate,
    /// The user's view, which the Application gets only while it is active.
    current: View,
    /// The cause of the view, if it is offline.
    cause: OfflineCause,
}

/// The notifications of one user that a device has taken, but whose receipts the Application has
/// not got. They are rows of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TakenRows {
    /// The Application does not see the user, or its receipts are held.
    Waiting,
    /// A release was requested.
    Queued,
}

/// The result of [`Stream::publish`].
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Set if there is something new to read.
    pub changed: bool,
    /// Set if the Application begins to see the user. The end of the hold is to be set.
    pub appeared: bool,
}

/// The stream of one Application.
pub struct Stream {
    id: u64,
    base_version: u64,
    active: bool,
    head: u64,
    table: BTreeMap<Puid, Row>,
    /// The users whose current view is not shown yet.
    held: BTreeSet<Puid>,
    log: ChunkedQueue<LogEntry>,
    log_bytes: usize,
    retention: Retention,
    /// The users with taken notifications, at most one entry for each grant.
    taken: HashMap<Puid, TakenRows>,
    holds: ReceiptHolds,
    /// The oldest position of a cursor that a reader can resume at.
    oldest_cursor: u64,
    /// The version of a user without a row.
    version_without_row: u64,
}

impl Stream {
    /// Creates an empty stream. `id` is random, so that cursors of other streams and epochs are
    /// recognised as foreign. `epoch` is in seconds since 1970.
    pub fn new(id: u64, epoch: u64, active: bool, retention: Retention) -> Self {
        Self {
            id,
            base_version: epoch << COUNTER_BITS,
            active,
            head: 0,
            table: BTreeMap::new(),
            held: BTreeSet::new(),
            log: ChunkedQueue::default(),
            log_bytes: 0,
            retention,
            taken: HashMap::new(),
            holds: ReceiptHolds::default(),
            oldest_cursor: 0,
            version_without_row: epoch << COUNTER_BITS,
        }
    }

    /// Returns true if the Application is active.
    pub fn is_active(&self) -> bool {
        self.active
    }

    /// Returns the position of the newest log entry.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// Returns the oldest position from which all later entries are still in the log.
    pub fn floor(&self) -> u64 {
        self.head - self.log.len() as u64
    }

    /// Returns the number of entries in the log.
    pub fn log_len(&self) -> usize {
        self.log.len()
    }

    /// Returns about the number of bytes of the log.
    pub fn log_bytes(&self) -> usize {
        self.log_bytes
    }

    /// Removes the oldest entries until the log has at most this number of bytes.
    pub fn trim_log(&mut self, bytes: usize) {
        while self.log_bytes > bytes && self.remove_oldest() {}
    }

    /// Sets the view of a user without showing it: [`Stream::publish_held`] does.
    pub fn hold(&mut self, puid: Puid, view: View, cause: OfflineCause) {
        let row = self.row(puid);
        (row.current, row.cause) = (view, cause);
        self.held.insert(puid);
    }

    /// Publishes all held views. Their order is that of the PUIDs, which are random, and so says
    /// nothing about the order of the changes. Returns the users whom the Application begins to
    /// see.
    #[must_use]
    pub fn publish_held(&mut self, now: UnixMillis) -> Vec<Puid> {
        let mut appeared = Vec::new();
        for puid in std::mem::take(&mut self.held) {
            let row = self.row(puid);
            let (view, cause) = (row.current.clone(), row.cause);
            if self.publish(puid, view, cause, now).appeared {
                appeared.push(puid);
            }
        }
        appeared
    }

    /// Returns the row of a user, and creates it if there is none.
    fn row(&mut self, puid: Puid) -> &mut Row {
        let base = self.base_version;
        self.table.entry(puid).or_insert_with(|| Row {
            published: initial_update(puid, base),
            current: View::default(),
            cause: OfflineCause::Left,
        })
    }

    /// Sets the view of a user, and appends an update if the Application sees a change. `cause` is
    /// that of a view that is offline.
    pub fn publish(
        &mut self,
        puid: Puid,
        view: View,
        cause: OfflineCause,
        now: UnixMillis,
    ) -> Published {
        self.held.remove(&puid);
        let (active, version) = (self.active, self.next_version());
        let row = self.row(puid);
        (row.current, row.cause) = (view, cause);
        let published = (&row.published.status, &row.published.message);
        if !active || published == (&row.current.status, &row.current.text) {
            return Published { changed: false, appeared: false };
        }
        let update = next_update(puid, (row.current.clone(), cause), version, now);
        Published { changed: true, appeared: self.replace_published(update, now) }
    }

    /// Ends a grant: the PUID is never used again. The store has deleted the user's notifications.
    pub fn revoke(&mut self, puid: Puid, now: UnixMillis) {
        self.held.remove(&puid);
        self.taken.remove(&puid);
        let held = self.holds.remove(&puid);
        self.append_receipts(held, now);
        let row = self.table.remove(&puid);
        let last_cause = row.as_ref().and_then(|row| row.published.cause);
        let previous = row.map(|row| into_view(row.published)).unwrap_or_default();
        let update = revoked_update(puid, (self.next_version(), now), &previous, last_cause);
        self.append(now, LogItem::Update(LoggedChange { update, previous }));
    }

    /// Activates or deactivates the Application. While it is inactive, it sees every user as
    /// offline. Returns the users whom it begins to see, whose holds are to get an end.
    #[must_use]
    pub fn set_active(&mut self, active: bool, now: UnixMillis) -> Vec<Puid> {
        if self.active == active {
            return Vec::new();
        }
        self.active = active;
        let visible_view = |row: &Row| if active { row.current.clone() } else { View::default() };
        let changes: Vec<(Puid, View)> = self
            .table
            .iter()
            .map(|(puid, row)| (*puid, &row.published, visible_view(row)))
            .filter(|(_, published, view)| !shows(published, view))
            .map(|(puid, _, view)| (puid, view))
            .collect();
        let mut appeared = Vec::new();
        for (puid, view) in changes {
            let seen = (view, OfflineCause::Left);
            let update = next_update(puid, seen, self.next_version(), now);
            if self.replace_published(update, now) {
                appeared.push(puid);
            }
        }
        appeared
    }

    /// Appends the final state of a notification, unless the receipts of the user are held.
    pub fn append_receipt(&mut self, receipt: Receipt, now: UnixMillis) {
        if !self.holds.hold(receipt) {
            self.append(now, LogItem::Receipt(receipt));
        }
    }

    /// Sets the end of the hold of a user whom the Application begins to see. Returns true if
    /// [`Stream::end_hold`] is to be called then. Otherwise an earlier call is still to come.
    #[must_use]
    pub fn set_hold_end(&mut self, puid: Puid, until: Steady) -> bool {
        self.holds.set_end(puid, until)
    }

    /// Ends the hold of a user if it is over. The Application gets what was held: at once, or with
    /// the release of the user's taken notifications.
    pub fn end_hold(&mut self, puid: Puid, steady: Steady, now: UnixMillis) -> HoldEnd {
        if let Some(later) = self.holds.check_end(&puid, steady) {
            return later;
        }
        if self.taken.contains_key(&puid) {
            self.holds.begin_release(&puid);
            return if self.queue_release(puid) { HoldEnd::Release } else { HoldEnd::Over };
        }
        let held = self.holds.remove(&puid);
        self.append_receipts(held, now);
        HoldEnd::Over
    }

    /// Ends a release whose receipts were appended. If it has ended the hold of the user, the
    /// Application gets all of them now, in the order of ids.
    pub fn finish_release(&mut self, puid: Puid, now: UnixMillis) {
        let held = self.holds.finish_release(&puid);
        self.append_receipts(held, now);
    }

    /// Notes that the store holds taken notifications of a user. Returns true if they are to be
    /// released now.
    #[must_use]
    pub fn note_taken(&mut self, puid: Puid) -> bool {
        self.taken.entry(puid).or_insert(TakenRows::Waiting);
        self.queue_release(puid)
    }

    /// Starts a release that was requested. Returns false if the Application does not see the
    /// user any more, or began to see the user anew: then the notifications stay in the store.
    #[must_use]
    pub fn start_release(&mut self, puid: Puid) -> bool {
        let visible = self.is_visible(puid) && !self.holds.is_held(&puid);
        match self.taken.get_mut(&puid) {
            Some(TakenRows::Queued) if visible => self.taken.remove(&puid).is_some(),
            Some(rows) => {
                *rows = TakenRows::Waiting;
                false
            }
            None => false,
        }
    }

    /// Returns true if the Application sees this user as anything but offline.
    pub fn is_visible(&self, puid: Puid) -> bool {
        self.table.get(&puid).is_some_and(|row| row.published.status != Status::Offline)
    }

    /// Returns true if a settlement gets its receipt at once: the Application has seen the user for
    /// some time, and no older taken notifications of the user wait, whose receipts come first.
    pub fn gives_immediate_receipts(&self, puid: Puid) -> bool {
        self.is_visible(puid) && !self.taken.contains_key(&puid) && !self.holds.is_held(&puid)
    }

    /// Returns the latest update of a user, as the answer to a question: without a cause.
    pub fn latest(&self, puid: Puid) -> PresenceUpdate {
        let latest = self.table.get(&puid).map(|row| row.published.clone());
        let without_row = || PresenceUpdate {
            version: self.version_without_row,
            ..initial_update(puid, self.base_version)
        };
        PresenceUpdate { cause: None, ..latest.unwrap_or_else(without_row) }
    }

    /// Returns the users who are not offline, in the order of PUIDs, after one of them.
    pub fn visible_after(&self, after: Option<Puid>) -> impl Iterator<Item = &PresenceUpdate> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.table
            .range((from, Bound::Unbounded))
            .map(|(_, row)| &row.published)
            .filter(|update| update.status != Status::Offline)
    }

    /// Removes log entries that are too old.
    pub fn prune(&mut self, now: UnixMillis) {
        let oldest = now - self.retention.age;
        while self.log.front().is_some_and(|entry| entry.at < oldest) {
            self.remove_oldest();
        }
    }

    /// Returns the cursor of a position, with which a reader can resume there.
    pub fn cursor(&self, position: u64) -> String {
        format!("{:016x}{position:x}", self.id)
    }

    /// Returns the position of a cursor of this stream and epoch, whether the entries after it are
    /// in the log or not.
    pub fn place_of(&self, cursor: &str) -> Option<u64> {
        let (id, position) = cursor.split_at_checked(16)?;
        let position = u64::from_str_radix(position, 16).ok()?;
        u64::from_str_radix(id, 16).is_ok_and(|id| id == self.id).then_some(position)
    }

    /// Returns the position of a cursor if all later entries are still in the log.
    pub fn position(&self, cursor: &str) -> Option<u64> {
        let position = self.place_of(cursor)?;
        let oldest = self.floor().max(self.oldest_cursor);
        (oldest..=self.head).contains(&position).then_some(position)
    }

    /// Returns the entries after a position, each with its own position.
    pub(crate) fn entries_after(&self, position: u64) -> impl Iterator<Item = (u64, &LogItem)> {
        let skip = usize::try_from(position.saturating_sub(self.floor())).unwrap_or(usize::MAX);
        (position + 1..).zip(self.log.iter_from(skip).map(|entry| &entry.item))
    }

    /// Marks the taken notifications of a visible user as queued, unless receipts of the user are
    /// held. Returns true if they were not queued.
    fn queue_release(&mut self, puid: Puid) -> bool {
        if self.taken.is_empty() || !self.is_visible(puid) || self.holds.is_held(&puid) {
            return false;
        }
        match self.taken.get_mut(&puid) {
            Some(rows) => std::mem::replace(rows, TakenRows::Queued) == TakenRows::Waiting,
            None => false,
        }
    }

    /// Replaces the update that the Application sees of a user, who is in the table, and begins or
    /// cancels the hold of the user. Returns true if the Application begins to see the user.
    fn replace_published(&mut self, update: PresenceUpdate, now: UnixMillis) -> bool {
        let puid = update.uid;
        let Some(row) = self.table.get_mut(&puid) else { return false };
        let previous = into_view(std::mem::replace(&mut row.published, update.clone()));
        let was_visible = previous.status != Status::Offline;
        let is_visible = update.status != Status::Offline;
        self.append(now, LogItem::Update(LoggedChange { update, previous }));
        if is_visible && !was_visible {
            self.holds.begin(puid);
        } else if !is_visible {
            let held = self.holds.cancel(&puid);
            self.append_receipts(held, now);
        }
        is_visible && !was_visible
    }

    fn append_receipts(&mut self, receipts: Vec<Receipt>, now: UnixMillis) {
        receipts.into_iter().for_each(|receipt| self.append(now, LogItem::Receipt(receipt)));
    }

    fn next_version(&self) -> u64 {
        self.base_version + self.head + 1
    }

    fn append(&mut self, at: UnixMillis, item: LogItem) {
        self.head += 1;
        let entry = LogEntry { at, item };
        self.log_bytes += entry.bytes();
        self.log.push_back(entry);
        if self.log.len() > self.retention.entries {
            self.remove_oldest();
        }
        self.trim_log(self.retention.bytes);
    }

    fn remove_oldest(&mut self) -> bool {
        let removed = self.log.pop_front();
        self.log_bytes -= removed.as_ref().map_or(0, LogEntry::bytes);
        removed.is_some()
    }
}

#[cfg(test)]
mod tests;
