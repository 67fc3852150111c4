//! The reader of one socket: a snapshot of the stream, then everything after it.
//!
//! A reader holds no queue of updates: it holds its position in the log of the stream, so a slow
//! one costs no more than the pages being sent to it. Updates that it lags behind are coalesced.

use std::collections::{HashSet, VecDeque};

use hashbrown::HashMap;
use presence_protocol::app::Receipt;
use presence_protocol::{PresenceUpdate, Puid, Status};

use crate::stream::Stream;
use crate::stream::log::{LogItem, LoggedChange};
use crate::stream::updates::{shows, update_after};
use crate::view::View;

/// The maximum number of updates on a page.
pub const MAX_PAGE_ITEMS: usize = 500;

/// The format in which an AppService is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WireFormat {
    /// One update in each frame, as in the protocol of 2013.
    Plain,
    /// `presence.v1`: pages with cursors.
    Paged {
        /// Set if the AppService gets receipts.
        receipts: bool,
    },
}

/// The result of [`Reader::next`].
#[derive(Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// There is nothing to read now.
    Nothing,
    /// The next page.
    Page(Page),
    /// The reader has missed entries that it must not miss.
    TooSlow,
}

/// A page of updates and receipts.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Set if it is a page of a snapshot.
    pub snapshot: bool,
    /// Set if entries before it were missed.
    pub gap: bool,
    /// Set if further pages of the same snapshot follow.
    pub more: bool,
    /// The updates.
    pub presence: Vec<PresenceUpdate>,
    /// The receipts.
    pub receipts: Vec<Receipt>,
    /// The position up to which the reader has got everything, if there is one.
    pub up_to: Option<u64>,
}

/// The updates that a reader gets before or beside the log.
enum Preamble {
    /// A snapshot, once the server has warmed up.
    Snapshot {
        gap: bool,
    },
    /// The updates of those of these users who are offline, once the server has warmed up. A plain
    /// reader gets them for users of whom it has not read an update before.
    Offline(Vec<Puid>),
    Done,
}

/// The reader of one socket.
pub struct Reader {
    format: WireFormat,
    /// The position up to which everything was read.
    position: u64,
    preamble: Preamble,
    /// Updates that were read and are not on a page yet.
    updates: VecDeque<PresenceUpdate>,
    /// Receipts that were read and are not on a page yet.
    receipts: VecDeque<Receipt>,
    in_snapshot: bool,
    gap: bool,
}

/// The changes of one user that a reader has not read.
struct UnreadChanges<'a> {
    /// The view that the reader got last.
    before: &'a View,
    /// The position of the latest change.
    latest: u64,
}

impl Reader {
    /// Creates a reader of pages. It resumes at the cursor if it can, otherwise it starts with a
    /// snapshot.
    pub fn paged(stream: &Stream, cursor: Option<&str>, receipts: bool) -> Self {
        let resumed = cursor.and_then(|cursor| stream.position(cursor));
        let preamble = match resumed {
            Some(_) => Preamble::Done,
            None => Preamble::Snapshot { gap: cursor.is_some() },
        };
        Self::new(WireFormat::Paged { receipts }, resumed.unwrap_or(stream.head()), preamble)
    }

    /// Creates a reader of the protocol of 2013. It gets the users who are not offline, then the
    /// offline ones among `users`.
    pub fn plain(stream: &Stream, users: Vec<Puid>) -> Self {
        let mut reader = Self::new(WireFormat::Plain, stream.head(), Preamble::Offline(users));
        reader.updates = stream.visible_after(None).cloned().collect();
        reader
    }

    fn new(format: WireFormat, position: u64, preamble: Preamble) -> Self {
        Self {
            format,
            position,
            preamble,
            updates: VecDeque::new(),
            receipts: VecDeque::new(),
            in_snapshot: false,
            gap: false,
        }
    }

    /// Returns the format in which the socket is served.
    pub fn format(&self) -> WireFormat {
        self.format
    }

    /// Returns the position of the reader if it gets nothing but the log next. Readers with the
    /// same format and position get the same bytes.
    pub fn shared_position(&self) -> Option<u64> {
        let is_initialised = matches!(self.preamble, Preamble::Done);
        (is_initialised && self.is_drained()).then_some(self.position)
    }

    /// Moves the reader forward after it got the bytes of another reader.
    pub fn skip_to(&mut self, position: u64) {
        self.position = position;
    }

    /// Returns the next page. During warm-up a snapshot is delayed, and changes are not.
    pub fn next(&mut self, stream: &Stream, warming_up: bool) -> ReadOutcome {
        if self.is_drained() {
            if self.position < stream.floor() && !self.try_restart_with_snapshot() {
                return ReadOutcome::TooSlow;
            }
            self.read(stream, warming_up);
        }
        if self.is_drained() && !self.in_snapshot {
            return ReadOutcome::Nothing;
        }
        ReadOutcome::Page(self.next_page())
    }

    fn is_drained(&self) -> bool {
        self.updates.is_empty() && self.receipts.is_empty()
    }

    /// Restarts a reader that has missed entries with a snapshot. Returns false if its format does
    /// not allow this.
    fn try_restart_with_snapshot(&mut self) -> bool {
        match self.format {
            WireFormat::Paged { receipts: false } => {
                self.preamble = Preamble::Snapshot { gap: true };
                true
            }
            WireFormat::Paged { receipts: true } | WireFormat::Plain => false,
        }
    }

    fn read(&mut self, stream: &Stream, warming_up: bool) {
        if let Preamble::Snapshot { gap } = self.preamble
            && !warming_up
        {
            self.preamble = Preamble::Done;
            self.updates = stream.visible_after(None).cloned().collect();
            self.read_receipts(stream);
            (self.in_snapshot, self.gap) = (true, gap);
            self.position = stream.head();
            return;
        }
        self.read_log(stream);
        if let Preamble::Offline(users) = &mut self.preamble
            && !warming_up
            && self.updates.is_empty()
        {
            let latest = std::mem::take(users).into_iter().map(|uid| stream.latest(uid));
            self.updates = latest.filter(|update| update.status == Status::Offline).collect();
            self.preamble = Preamble::Done;
        }
    }

    fn read_log(&mut self, stream: &Stream) {
        self.updates = if stream.head() - self.position == 1 {
            // A reader without lag has a single entry to read, and nothing to coalesce.
            let entries = stream.entries_after(self.position);
            let changes = entries.flat_map(|(_, item)| item.changes());
            changes.filter_map(LoggedChange::changed_update).collect()
        } else {
            self.coalesced_updates(stream)
        };
        if let Preamble::Offline(users) = &mut self.preamble {
            let updated: HashSet<Puid> = self.updates.iter().map(|update| update.uid).collect();
            users.retain(|uid| !updated.contains(uid));
        }
        self.read_receipts(stream);
        self.position = stream.head();
    }

    /// Returns the latest update of each user after the position, in order. Leaves out a user whose
    /// view is again the one that the reader got last.
    fn coalesced_updates(&self, stream: &Stream) -> VecDeque<PresenceUpdate> {
        let mut unread: HashMap<Puid, UnreadChanges<'_>> = HashMap::new();
        for (position, item) in stream.entries_after(self.position) {
            for LoggedChange { update, previous } in item.changes() {
                let first = UnreadChanges { before: previous, latest: position };
                unread.entry(update.uid).or_insert(first).latest = position;
            }
        }
        stream
            .entries_after(self.position)
            .flat_map(|(position, item)| item.changes().iter().map(move |it| (position, it)))
            .filter_map(|(position, LoggedChange { update, .. })| {
                let UnreadChanges { before, latest } = unread.get(&update.uid)?;
                let is_repeated = !update.revoked && shows(update, before);
                (*latest == position && !is_repeated).then(|| update_after(before, update.clone()))
            })
            .collect()
    }

    fn read_receipts(&mut self, stream: &Stream) {
        if self.format != (WireFormat::Paged { receipts: true }) {
            return;
        }
        let entries = stream.entries_after(self.position);
        self.receipts.extend(entries.filter_map(|(_, item)| match item {
            LogItem::Receipt(receipt) => Some(*receipt),
            LogItem::Update(_) | LogItem::Switched(_) | LogItem::Hidden => None,
        }));
    }

    fn next_page(&mut self) -> Page {
        let count = self.updates.len().min(MAX_PAGE_ITEMS);
        let presence: Vec<PresenceUpdate> = self.updates.drain(..count).collect();
        // Receipts follow all updates, so that no receipt comes before its user is visible.
        let free_items = if self.updates.is_empty() {
            MAX_PAGE_ITEMS - presence.len().min(MAX_PAGE_ITEMS - 1)
        } else {
            0
        };
        let count = self.receipts.len().min(free_items);
        let receipts: Vec<Receipt> = self.receipts.drain(..count).collect();
        let is_last = self.is_drained();
        let snapshot = self.in_snapshot;
        self.in_snapshot = snapshot && !is_last;
        let is_complete = is_last && !matches!(self.preamble, Preamble::Snapshot { .. });
        Page {
            snapshot,
            gap: std::mem::take(&mut self.gap),
            more: snapshot && !is_last,
            presence,
            receipts,
            up_to: is_complete.then_some(self.position),
        }
    }
}

#[cfg(test)]
mod tests;
