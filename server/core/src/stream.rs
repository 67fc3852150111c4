//! The stream of one Application: the latest update of each user, and a log of updates and receipts
//! from which readers are served.
//!
//! The stream alone assigns versions and cursors, makes snapshots from its own table, and decides
//! when the Application may get a receipt.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::time::Duration;

use presence_protocol::app::Receipt;
use presence_protocol::{PresenceUpdate, Puid, Status, UnixMillis};

use crate::view::View;

/// The part of the log that a stream keeps for readers that resume.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// The maximum number of log entries.
    pub entries: usize,
    /// The maximum age of a log entry.
    pub age: Duration,
}

/// A version is the start of the epoch in seconds times 2^20, plus a counter, so that versions
/// grow over restarts too.
const COUNTER_BITS: u32 = 20;

struct Row {
    /// The latest update that the Application got.
    published: PresenceUpdate,
    /// The user's view, which the Application gets only while it is active.
    current: View,
}

/// The notifications of one user that a device has taken, but whose receipts the Application has
/// not got. They are rows of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TakenRows {
    /// The Application does not see the user.
    Waiting,
    /// The Application saw the user, so a release was requested.
    Queued,
}

pub(crate) enum LogItem {
    Update {
        update: PresenceUpdate,
        /// The view before the update.
        previous: View,
    },
    Receipt(Receipt),
}

impl LogItem {
    /// Returns the update if it differs from the one before it.
    pub(crate) fn changed_update(&self) -> Option<&PresenceUpdate> {
        match self {
            Self::Update { update, previous } => {
                (update.revoked || *previous != view_of(update)).then_some(update)
            }
            Self::Receipt(_) => None,
        }
    }
}

struct LogEntry {
    at: UnixMillis,
    item: LogItem,
}

/// The result of [`Stream::publish`].
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Set if there is something new to read.
    pub changed: bool,
    /// Set if the user's taken notifications are to be released now.
    pub release_due: bool,
}

/// The stream of one Application.
pub struct Stream {
    id: u64,
    base_version: u64,
    active: bool,
    head: u64,
    table: BTreeMap<Puid, Row>,
    log: VecDeque<LogEntry>,
    retention: Retention,
    /// The users with taken notifications, at most one entry for each grant.
    taken: HashMap<Puid, TakenRows>,
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
            log: VecDeque::new(),
            retention,
            taken: HashMap::new(),
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

    /// Sets the view of a user, and appends an update if the Application sees a change.
    pub fn publish(&mut self, puid: Puid, view: View, now: UnixMillis) -> Published {
        let (base, version) = (self.base_version, self.next_version());
        let row = self.table.entry(puid).or_insert_with(|| Row {
            published: initial_update(puid, base),
            current: View::default(),
        });
        row.current = view;
        let published = (&row.published.status, &row.published.message);
        if !self.active || published == (&row.current.status, &row.current.text) {
            return Published { changed: false, release_due: false };
        }
        let update = next_update(puid, row.current.clone(), version, now);
        let previous = into_view(std::mem::replace(&mut row.published, update.clone()));
        self.append(now, LogItem::Update { update, previous });
        Published { changed: true, release_due: self.queue_release(puid) }
    }

    /// Ends a grant: the PUID is never used again. The store has deleted the user's notifications.
    pub fn revoke(&mut self, puid: Puid, now: UnixMillis) {
        self.taken.remove(&puid);
        let row = self.table.remove(&puid);
        let previous = row.map(|row| into_view(row.published)).unwrap_or_default();
        let update = next_update(puid, View::default(), self.next_version(), now);
        let update = PresenceUpdate { revoked: true, ..update };
        self.append(now, LogItem::Update { update, previous });
    }

    /// Activates or deactivates the Application. While it is inactive, it sees every user as
    /// offline. Returns the users whose taken notifications are to be released now.
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
            .map(|(puid, row)| (*puid, view_of(&row.published), visible_view(row)))
            .filter(|(_, published, view)| published != view)
            .map(|(puid, _, view)| (puid, view))
            .collect();
        let mut due = Vec::new();
        for (puid, view) in changes {
            self.append_update(puid, view, now);
            if self.queue_release(puid) {
                due.push(puid);
            }
        }
        due
    }

    /// Appends the final state of a notification.
    pub fn append_receipt(&mut self, receipt: Receipt, now: UnixMillis) {
        self.append(now, LogItem::Receipt(receipt));
    }

    /// Notes that the store holds taken notifications of a user. Returns true if they are to be
    /// released now.
    #[must_use]
    pub fn note_taken(&mut self, puid: Puid) -> bool {
        self.taken.entry(puid).or_insert(TakenRows::Waiting);
        self.queue_release(puid)
    }

    /// Starts a release that was requested. Returns false if the Application does not see the
    /// user any more: then the notifications stay in the store until it does.
    #[must_use]
    pub fn start_release(&mut self, puid: Puid) -> bool {
        let visible = self.is_visible(puid);
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

    /// Returns true if a settlement gets its receipt at once: the Application sees the user, and no
    /// older taken notifications of the user wait, whose receipts come first.
    pub fn gives_immediate_receipts(&self, puid: Puid) -> bool {
        self.is_visible(puid) && !self.taken.contains_key(&puid)
    }

    /// Returns the latest update of a user.
    pub fn latest(&self, puid: Puid) -> PresenceUpdate {
        let row = self.table.get(&puid);
        row.map_or_else(|| initial_update(puid, self.base_version), |row| row.published.clone())
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
            self.log.pop_front();
        }
    }

    /// Returns the cursor of a position, with which a reader can resume there.
    pub fn cursor(&self, position: u64) -> String {
        format!("{:016x}{position:x}", self.id)
    }

    /// Returns the position of a cursor if all later entries are still in the log.
    pub fn position(&self, cursor: &str) -> Option<u64> {
        let (id, position) = cursor.split_at_checked(16)?;
        let position = u64::from_str_radix(position, 16).ok()?;
        let is_own = u64::from_str_radix(id, 16).is_ok_and(|id| id == self.id);
        (is_own && (self.floor()..=self.head).contains(&position)).then_some(position)
    }

    /// Returns the entries after a position, each with its own position.
    pub(crate) fn entries_after(&self, position: u64) -> impl Iterator<Item = (u64, &LogItem)> {
        let skip = usize::try_from(position.saturating_sub(self.floor())).unwrap_or(usize::MAX);
        (position + 1..).zip(self.log.iter().skip(skip).map(|entry| &entry.item))
    }

    /// Marks the taken notifications of a visible user as queued. Returns true if they were not.
    fn queue_release(&mut self, puid: Puid) -> bool {
        if self.taken.is_empty() || !self.is_visible(puid) {
            return false;
        }
        match self.taken.get_mut(&puid) {
            Some(rows) => std::mem::replace(rows, TakenRows::Queued) == TakenRows::Waiting,
            None => false,
        }
    }

    fn append_update(&mut self, puid: Puid, view: View, now: UnixMillis) {
        let update = next_update(puid, view, self.next_version(), now);
        let Some(row) = self.table.get_mut(&puid) else { return };
        let previous = into_view(std::mem::replace(&mut row.published, update.clone()));
        self.append(now, LogItem::Update { update, previous });
    }

    fn next_version(&self) -> u64 {
        self.base_version + self.head + 1
    }

    fn append(&mut self, at: UnixMillis, item: LogItem) {
        self.head += 1;
        self.log.push_back(LogEntry { at, item });
        if self.log.len() > self.retention.entries {
            self.log.pop_front();
        }
    }
}

/// Returns the update of a user who has none in this epoch: offline since the start of the epoch.
fn initial_update(puid: Puid, base_version: u64) -> PresenceUpdate {
    PresenceUpdate {
        uid: puid,
        status: Status::Offline,
        version: base_version,
        since: UnixMillis::from_secs(base_version >> COUNTER_BITS),
        message: None,
        revoked: false,
    }
}

/// Creates an update. Its time is in whole seconds, since finer times would let two Applications
/// link their PUIDs.
fn next_update(puid: Puid, view: View, version: u64, now: UnixMillis) -> PresenceUpdate {
    PresenceUpdate {
        uid: puid,
        status: view.status,
        version,
        since: now.truncated_to_secs(),
        message: view.text,
        revoked: false,
    }
}

fn into_view(update: PresenceUpdate) -> View {
    View { status: update.status, text: update.message }
}

pub(crate) fn view_of(update: &PresenceUpdate) -> View {
    View { status: update.status, text: update.message.clone() }
}

#[cfg(test)]
mod tests;
