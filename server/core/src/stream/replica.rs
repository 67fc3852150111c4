//! The copy that a server keeps of a stream that several servers share.
//!
//! The database assigns places, which are positions here, and holds the rows of all users with the
//! log. A replica begins with the rows as they were about one place, and applies the entries of
//! the log after it, in order. Its readers are those of any stream.

use presence_protocol::app::Receipt;
use presence_protocol::{OfflineCause, PresenceUpdate, Puid, UnixMillis};

use super::log::{LogEntry, LogItem, LoggedChange};
use super::updates::{COUNTER_BITS, initial_update, into_view, next_update, revoked_update};
use super::{Retention, Row, Stream};
use crate::view::View;

/// The facts of a shared stream at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaStart {
    /// The id that its cursors have on every server.
    pub id: u64,
    /// The number of the epoch, in seconds since 1970.
    pub epoch: u64,
    /// The place after which entries are applied.
    pub head: u64,
    /// The place of the newest entry that was removed.
    pub floor: u64,
    /// Set if the Application is active there.
    pub active: bool,
    /// The place and the time at which the Application was switched on or off last.
    pub switched: (u64, UnixMillis),
}

/// The row of a user in the database: what is true, whether the Application is active or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedRow {
    /// The user.
    pub puid: Puid,
    /// The place of its last entry.
    pub place: u64,
    /// The view.
    pub view: View,
    /// The time of its last entry.
    pub since: UnixMillis,
}

/// An entry of a shared log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedEntry {
    /// Its place.
    pub place: u64,
    /// Its time.
    pub at: UnixMillis,
    /// Its content.
    pub item: SharedItem,
}

/// The content of an entry of a shared log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SharedItem {
    /// A change of a user's view.
    Update {
        /// The user.
        puid: Puid,
        /// The view.
        view: View,
        /// The cause, if the view is offline.
        cause: OfflineCause,
        /// The view before.
        previous: View,
    },
    /// The end of a grant.
    Revoked {
        /// The user.
        puid: Puid,
        /// The view before.
        previous: View,
    },
    /// A receipt.
    Receipt(Receipt),
    /// The Application was switched on or off.
    Switched {
        /// Set if it is active from now on.
        active: bool,
    },
}

/// Entries are missing before this one. The replica is to be read anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("entries of the log are missing")]
pub struct MissingEntries;

impl Stream {
    /// Creates a replica from the rows of all users who are not offline. Rows may be newer than
    /// the start.
    pub fn replica(
        start: ReplicaStart,
        rows: impl IntoIterator<Item = SharedRow>,
        retention: Retention,
    ) -> Self {
        let mut stream = Self::new(start.id, start.epoch, start.active, retention);
        stream.head = start.head;
        stream.oldest_cursor = start.switched.0;
        stream.version_without_row = start.shown_without_row(Puid::from_bits(0)).version;
        for row in rows {
            let puid = row.puid;
            let row = Self::loaded_row(row, &start);
            stream.table.insert(puid, row);
        }
        stream
    }

    fn loaded_row(row: SharedRow, start: &ReplicaStart) -> Row {
        let current = row.view.clone();
        Row { published: start.shown(row), current, cause: OfflineCause::Left }
    }

    /// Applies the next entry. One that the replica has already is ignored.
    ///
    /// # Errors
    ///
    /// [`MissingEntries`].
    pub fn apply(&mut self, entry: SharedEntry) -> Result<(), MissingEntries> {
        let SharedEntry { place, at, item } = entry;
        if place <= self.head {
            return Ok(());
        }
        if place > self.head + 1 {
            return Err(MissingEntries);
        }
        let item = match item {
            SharedItem::Update { puid, view, cause, .. } => {
                self.apply_update(puid, (view, cause), at)
            }
            SharedItem::Revoked { puid, .. } => self.apply_revoked(puid, at),
            SharedItem::Receipt(receipt) => LogItem::Receipt(receipt),
            SharedItem::Switched { active } => self.apply_switch(active, at),
        };
        self.append(at, item);
        Ok(())
    }

    fn apply_update(
        &mut self,
        puid: Puid,
        (view, cause): (View, OfflineCause),
        at: UnixMillis,
    ) -> LogItem {
        let (active, version) = (self.active, self.next_version());
        let row = self.row(puid);
        if row.published.version >= version {
            // The row was read after this entry was written.
            return LogItem::Hidden;
        }
        (row.current, row.cause) = (view.clone(), cause);
        if !active {
            return LogItem::Hidden;
        }
        let update = next_update(puid, (view, cause), version, at);
        let previous = into_view(std::mem::replace(&mut row.published, update.clone()));
        LogItem::Update(LoggedChange { update, previous })
    }

    fn apply_revoked(&mut self, puid: Puid, at: UnixMillis) -> LogItem {
        let row = self.table.remove(&puid);
        let last_cause = row.as_ref().and_then(|row| row.published.cause);
        let previous = row.map(|row| into_view(row.published)).unwrap_or_default();
        let update = revoked_update(puid, (self.next_version(), at), &previous, last_cause);
        LogItem::Update(LoggedChange { update, previous })
    }

    fn apply_switch(&mut self, active: bool, at: UnixMillis) -> LogItem {
        let version = self.next_version();
        self.active = active;
        let shown = |row: &Row| if active { row.current.clone() } else { View::default() };
        let mut changes = Vec::new();
        for (puid, row) in &mut self.table {
            let view = shown(row);
            let published = &row.published;
            if (published.status, &published.message) == (view.status, &view.text) {
                continue;
            }
            let update = next_update(*puid, (view, OfflineCause::Left), version, at);
            let previous = into_view(std::mem::replace(&mut row.published, update.clone()));
            changes.push(LoggedChange { update, previous });
        }
        LogItem::Switched(changes.into())
    }

    /// Forgets the entries that were applied, once the replica has caught up with its rows: a row
    /// that was read later than the start hides the entries that it came from. A reader that
    /// resumes before them gets them by [`Stream::prepend`].
    pub fn forget_log(&mut self) {
        self.log.clear();
        self.log_bytes = 0;
    }

    /// Adds entries before those that the replica has, for a reader that resumes before them. The
    /// entries are in order, and end at the floor. They are left out if they do not fit, or if
    /// the Application was switched meanwhile.
    pub fn prepend(&mut self, entries: Vec<SharedEntry>) {
        let fits = entries.last().is_some_and(|last| last.place == self.floor())
            && entries.windows(2).all(|pair| matches!(pair, [a, b] if a.place + 1 == b.place));
        if !fits {
            return;
        }
        for entry in entries.into_iter().rev() {
            let full = self.log.len() >= self.retention.entries;
            if full || self.log_bytes >= self.retention.bytes || entry.place <= self.oldest_cursor {
                return;
            }
            let SharedEntry { place, at, item } = entry;
            let item = self.earlier_item(place, at, item);
            let entry = LogEntry { at, item };
            self.log_bytes += entry.bytes();
            self.log.push_front(entry);
        }
    }

    fn earlier_item(&self, place: u64, at: UnixMillis, item: SharedItem) -> LogItem {
        let version = self.base_version + place;
        match item {
            SharedItem::Update { puid, view, cause, previous } => {
                let update = next_update(puid, (view, cause), version, at);
                LogItem::Update(LoggedChange { update, previous })
            }
            SharedItem::Revoked { puid, previous } => {
                let update = revoked_update(puid, (version, at), &previous, None);
                LogItem::Update(LoggedChange { update, previous })
            }
            SharedItem::Receipt(receipt) => LogItem::Receipt(receipt),
            SharedItem::Switched { .. } => LogItem::Hidden,
        }
    }
}

impl ReplicaStart {
    /// Returns what the Application sees of a user, as the answer to a question: without a cause.
    pub fn shown(&self, row: SharedRow) -> PresenceUpdate {
        let SharedRow { puid, place, view, since } = row;
        let (switch, switched_at) = self.switched;
        // An Application that was switched on later saw the user only then.
        let (place, since) = if place < switch { (switch, switched_at) } else { (place, since) };
        let View { status, text } = if self.active { view } else { View::default() };
        PresenceUpdate {
            uid: puid,
            status,
            cause: None,
            version: (self.epoch << COUNTER_BITS) + place,
            since: since.truncated_to_secs(),
            message: text,
            revoked: false,
        }
    }

    /// Returns what the Application sees of a user without a row, who is offline. Rows are removed
    /// below the floor, and versions must not go back.
    pub fn shown_without_row(&self, puid: Puid) -> PresenceUpdate {
        let base = self.epoch << COUNTER_BITS;
        let version = base + self.floor.max(self.switched.0);
        PresenceUpdate { version, ..initial_update(puid, base) }
    }
}
