//! One socket's way through a stream: its snapshot, then everything since, coalesced where it lags.
//!
//! A reader holds no queue of updates of its own: it holds its place in the stream's log, so a slow one costs nothing but the
//! pages that it is being sent.

use std::collections::{HashMap, HashSet, VecDeque};

use presence_protocol::app::Receipt;
use presence_protocol::{PresenceUpdate, Puid, Status};

use crate::roster::View;
use crate::stream::{Said, Stream, of};

/// The most updates on one page.
pub const PAGE: usize = 500;

/// In which form an AppService is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WireFormat {
    /// One update a frame, as in 2013.
    Plain,
    /// `presence.v1`: pages with cursors.
    Paged {
        /// Whether receipts are wanted.
        receipts: bool,
    },
}

/// What a reader gets next.
#[derive(Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// Nothing, for now.
    Nothing,
    /// A page.
    Page(Page),
    /// It reads too slowly for what must not be left out.
    TooSlow,
}

/// Some updates and receipts.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Whether it is a page of a snapshot.
    pub snapshot: bool,
    /// Whether something before it is lost.
    pub gap: bool,
    /// Whether further pages of the same cut follow.
    pub more: bool,
    /// The updates.
    pub presence: Vec<PresenceUpdate>,
    /// The receipts.
    pub receipts: Vec<Receipt>,
    /// Up to which place everything is reflected; absent where that cannot be said.
    pub up_to: Option<u64>,
}

enum Due {
    /// A snapshot, once everybody had time to come back.
    Snapshot {
        gap: bool,
    },
    /// Those users of a plain reader of whom it has heard nothing and who are offline, once everybody had time to come back.
    Offline(Vec<Puid>),
    Nothing,
}

/// One socket's way through a stream.
pub struct Reader {
    form: WireFormat,
    /// Everything up to here was read.
    place: u64,
    due: Due,
    cut: VecDeque<PresenceUpdate>,
    receipts: VecDeque<Receipt>,
    cut_is_snapshot: bool,
    gap: bool,
}

impl Reader {
    /// A reader that resumes at its cursor, or else gets a snapshot.
    pub fn paged(stream: &Stream, cursor: Option<&str>, receipts: bool) -> Self {
        let resumed = cursor.and_then(|cursor| stream.place(cursor));
        let due = match resumed {
            Some(_) => Due::Nothing,
            None => Due::Snapshot { gap: cursor.is_some() },
        };
        Self::new(WireFormat::Paged { receipts }, resumed.unwrap_or(stream.head()), due)
    }

    /// A reader of 2013, who is told of everybody who is not offline, then of those offline among `users`.
    pub fn plain(stream: &Stream, users: Vec<Puid>) -> Self {
        let mut reader = Self::new(WireFormat::Plain, stream.head(), Due::Offline(users));
        reader.cut = stream.present_after(None).cloned().collect();
        reader
    }

    fn new(form: WireFormat, place: u64, due: Due) -> Self {
        Self {
            form,
            place,
            due,
            cut: VecDeque::new(),
            receipts: VecDeque::new(),
            cut_is_snapshot: false,
            gap: false,
        }
    }

    /// In which form it is served.
    pub fn form(&self) -> WireFormat {
        self.form
    }

    /// Where the range that it reads next begins, if it reads nothing but the log: readers at the same place get the same bytes.
    pub fn shares_from(&self) -> Option<u64> {
        (matches!(self.due, Due::Nothing) && self.cut.is_empty() && self.receipts.is_empty())
            .then_some(self.place)
    }

    /// The bytes that another reader at the same place got were sent to this one too.
    pub fn skip_to(&mut self, place: u64) {
        self.place = place;
    }

    /// What comes next. While the server is warming up, a snapshot waits, and changes do not.
    pub fn next(&mut self, stream: &Stream, warming_up: bool) -> ReadOutcome {
        if self.cut.is_empty() && self.receipts.is_empty() {
            if let Some(too_slow) = self.lag(stream) {
                return too_slow;
            }
            self.cut(stream, warming_up);
        }
        if self.cut.is_empty() && self.receipts.is_empty() && !self.cut_is_snapshot {
            return ReadOutcome::Nothing;
        }
        ReadOutcome::Page(self.page())
    }

    /// Deals with a reader whose place is no longer in the log.
    fn lag(&mut self, stream: &Stream) -> Option<ReadOutcome> {
        if self.place >= stream.floor() {
            return None;
        }
        match self.form {
            WireFormat::Paged { receipts: false } => {
                self.due = Due::Snapshot { gap: true };
                None
            }
            WireFormat::Paged { receipts: true } | WireFormat::Plain => Some(ReadOutcome::TooSlow),
        }
    }

    fn cut(&mut self, stream: &Stream, warming_up: bool) {
        if let Due::Snapshot { gap } = self.due
            && !warming_up
        {
            self.due = Due::Nothing;
            self.cut = stream.present_after(None).cloned().collect();
            self.collect_receipts(stream);
            (self.cut_is_snapshot, self.gap) = (true, gap);
            self.place = stream.head();
            return;
        }
        self.read_log(stream);
        if let Due::Offline(users) = &mut self.due
            && !warming_up
            && self.cut.is_empty()
        {
            let told = std::mem::take(users).into_iter().map(|uid| stream.get(uid));
            self.cut = told.filter(|told| told.status == Status::Offline).collect();
            self.due = Due::Nothing;
        }
    }

    /// The newest of each user since the place, in order; nothing of one who is again what the reader last heard.
    fn read_log(&mut self, stream: &Stream) {
        self.cut = match stream.head() - self.place {
            // Who keeps up has one update at a time to read, and nothing to compare it with.
            1 => stream.since(self.place).filter_map(|(_, said)| said.change().cloned()).collect(),
            _ => self.newest_of_each(stream),
        };
        if let Due::Offline(users) = &mut self.due {
            let heard: HashSet<Puid> = self.cut.iter().map(|now| now.uid).collect();
            users.retain(|uid| !heard.contains(uid));
        }
        self.collect_receipts(stream);
        self.place = stream.head();
    }

    fn newest_of_each(&self, stream: &Stream) -> VecDeque<PresenceUpdate> {
        let mut heard: HashMap<Puid, &View> = HashMap::new();
        let mut newest: HashMap<Puid, u64> = HashMap::new();
        for (place, said) in stream.since(self.place) {
            if let Said::Update { now, before } = said {
                heard.entry(now.uid).or_insert(before);
                newest.insert(now.uid, place);
            }
        }
        let repeats = |now: &PresenceUpdate| {
            !now.revoked && heard.get(&now.uid).is_some_and(|view| **view == of(now))
        };
        stream
            .since(self.place)
            .filter_map(|(place, said)| match said {
                Said::Update { now, .. } => (newest.get(&now.uid) == Some(&place)).then_some(now),
                Said::Receipt(_) => None,
            })
            .filter(|now| !repeats(now))
            .cloned()
            .collect()
    }

    fn collect_receipts(&mut self, stream: &Stream) {
        if self.form != (WireFormat::Paged { receipts: true }) {
            return;
        }
        self.receipts.extend(stream.since(self.place).filter_map(|(_, said)| match said {
            Said::Receipt(receipt) => Some(*receipt),
            Said::Update { .. } => None,
        }));
    }

    fn page(&mut self) -> Page {
        let presence: Vec<PresenceUpdate> = self.cut.drain(..self.cut.len().min(PAGE)).collect();
        // Receipts follow the updates, so that none tells of a user before the user is seen.
        let room = if self.cut.is_empty() { PAGE - presence.len().min(PAGE - 1) } else { 0 };
        let receipts: Vec<Receipt> = self.receipts.drain(..self.receipts.len().min(room)).collect();
        let last = self.cut.is_empty() && self.receipts.is_empty();
        let snapshot = self.cut_is_snapshot;
        self.cut_is_snapshot = snapshot && !last;
        let known = last && !matches!(self.due, Due::Snapshot { .. });
        Page {
            snapshot,
            gap: std::mem::take(&mut self.gap),
            more: snapshot && !last,
            presence,
            receipts,
            up_to: known.then_some(self.place),
        }
    }
}

#[cfg(test)]
mod tests;
