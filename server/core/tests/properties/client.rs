//! An AppService with one socket: it believes what it reads, keeps its cursor, and knows what it ought to have heard.

use std::collections::{BTreeMap, BTreeSet};

use presence_core::reader::{Reader, WireFormat};
use presence_core::stream::Stream;
use presence_protocol::app::Receipt;
use presence_protocol::{PresenceUpdate, Status};

use crate::hub::Frame;
use crate::model::{Shown, Uid, offline};
use crate::step::Habit;

/// What went wrong.
pub(crate) type Held = Result<(), String>;

/// What an Application ought to be shown at this moment.
pub(crate) struct Truth {
    /// Of everybody who ever granted it, also of those who revoked.
    pub(crate) shown: BTreeMap<Uid, Shown>,
    pub(crate) head: u64,
    pub(crate) floor: u64,
    pub(crate) warming_up: bool,
    pub(crate) epoch: u64,
}

struct Cursor {
    text: String,
    place: u64,
    epoch: u64,
}

/// Why a frame came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Snapshot,
    /// Plain: who was not offline when the socket opened.
    Opening,
    /// Plain: who is offline.
    List,
    Changes,
}

/// An AppService.
pub(crate) struct Client {
    pub(crate) habit: Habit,
    pub(crate) reader: Option<Reader>,
    pub(crate) belief: BTreeMap<Uid, Shown>,
    /// Waits for a snapshot.
    awaits: bool,
    must_be_gap: bool,
    cursor: Option<Cursor>,
    /// Up to where it has read.
    place: u64,
    /// The truth when it last read.
    then: BTreeMap<Uid, Shown>,
    opening: BTreeMap<Uid, Shown>,
    unlisted: BTreeSet<Uid>,
    /// Who revoked since it last read.
    revoked: BTreeSet<Uid>,
    owed: Vec<Receipt>,
    versions: BTreeMap<Uid, u64>,
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Held {
    if holds { Ok(()) } else { Err(otherwise()) }
}

fn shown(presence: &PresenceUpdate) -> Shown {
    (presence.status, presence.message.as_ref().map_or("", |text| text.as_str()).to_owned())
}

fn not_offline(all: &BTreeMap<Uid, Shown>) -> BTreeMap<Uid, Shown> {
    all.iter().filter(|(_, s)| s.0 != Status::Offline).map(|(uid, s)| (*uid, s.clone())).collect()
}

impl Client {
    pub(crate) fn new(habit: Habit) -> Self {
        Self {
            habit,
            reader: None,
            belief: BTreeMap::new(),
            awaits: false,
            must_be_gap: false,
            cursor: None,
            place: 0,
            then: BTreeMap::new(),
            opening: BTreeMap::new(),
            unlisted: BTreeSet::new(),
            revoked: BTreeSet::new(),
            owed: vec![],
            versions: BTreeMap::new(),
        }
    }

    /// Opens a socket. `live` are those whose grants are live.
    pub(crate) fn open(
        &mut self,
        stream: &Stream,
        with_cursor: bool,
        truth: &Truth,
        live: Vec<Uid>,
    ) {
        let cursor = self.cursor.take().filter(|_| with_cursor);
        let resumes =
            cursor.as_ref().is_some_and(|c| c.epoch == truth.epoch && c.place >= truth.floor);
        if !resumes {
            self.revoked.clear();
            self.owed.clear();
        }
        (self.place, self.then) = match &cursor {
            Some(cursor) if resumes => (cursor.place, self.belief.clone()),
            Some(_) | None => (truth.head, truth.shown.clone()),
        };
        self.opening.clear();
        self.unlisted.clear();
        self.reader = Some(match self.habit.form {
            WireFormat::Plain => {
                self.belief.clear();
                self.opening = not_offline(&truth.shown);
                self.unlisted.extend(&live);
                Reader::plain(
                    stream,
                    live.into_iter().map(presence_protocol::Puid::from_bits).collect(),
                )
            }
            WireFormat::Paged { receipts } => {
                (self.awaits, self.must_be_gap) = (!resumes, cursor.is_some());
                Reader::paged(stream, cursor.as_ref().map(|c| c.text.as_str()), receipts)
            }
        });
        self.cursor = cursor;
    }

    /// Somebody revoked, which is said even of those who were offline.
    pub(crate) fn will_hear_of_revoked(&mut self, uid: Uid) {
        self.revoked.insert(uid);
    }

    /// A receipt is on its way.
    pub(crate) fn will_hear_of(&mut self, receipt: Receipt) {
        if self.habit.form == (WireFormat::Paged { receipts: true }) {
            self.owed.push(receipt);
        }
    }

    /// There is nothing to read.
    pub(crate) fn hears_nothing(&mut self, truth: &Truth) -> Held {
        if self.lags(truth) {
            return self.waits_for_a_gap(truth);
        }
        let missed = self.expected(truth);
        let offlines = missed.iter().filter(|uid| truth.shown[uid].0 == Status::Offline).count();
        ensure(missed.is_empty(), || {
            format!("3: says nothing of {missed:?}; 4: {offlines} of them are offline")
        })?;
        self.place = truth.head;
        let waits = self.awaits || !self.unlisted.is_empty();
        ensure(!waits || truth.warming_up, || {
            "3: no snapshot, no list of those offline".to_owned()
        })?;
        ensure(self.owed.is_empty(), || format!("8: never heard {:?}", self.owed))?;
        if self.awaits { Ok(()) } else { self.believes_the_truth(truth) }
    }

    /// It was told that it reads too slowly, and is closed.
    pub(crate) fn is_too_slow(&mut self, truth: &Truth) -> Held {
        self.reader = None;
        ensure(self.place < truth.floor, || "closed as too slow, and was not".to_owned())?;
        ensure(self.habit.form != (WireFormat::Paged { receipts: false }), || {
            "closed, not given a gap".to_owned()
        })
    }

    /// Reads a frame.
    pub(crate) fn hears(&mut self, frame: &Frame, truth: &Truth) -> Held {
        let kind = self.kind(frame, truth);
        let partly = kind == Kind::Changes && !frame.shared && self.lags(truth);
        let expected = match kind {
            Kind::Snapshot => not_offline(&truth.shown).into_keys().collect(),
            Kind::Opening => self.opening.keys().copied().collect(),
            Kind::List | Kind::Changes => self.expected(truth),
        };
        if kind == Kind::Snapshot {
            let due = self.awaits || self.lags(truth);
            ensure(due && !truth.warming_up, || "an unexpected snapshot".to_owned())?;
            let gap = self.must_be_gap || self.lags(truth);
            ensure(frame.gap == gap, || format!("gap is {}", frame.gap))?;
            self.belief.clear();
        }
        ensure(!frame.more, || "more of what fits on a page".to_owned())?;
        let mut heard = BTreeSet::new();
        for presence in &frame.presence {
            let uid = presence.uid.bits();
            ensure(heard.insert(uid), || format!("4: {uid} twice in a frame"))?;
            self.believe(presence, kind, truth)?;
        }
        self.settle(kind, truth);
        if partly {
            return self.waits_for_a_gap(truth);
        }
        ensure(heard == expected, || {
            format!("3, 4: {kind:?} tell of {heard:?} and ought to of {expected:?}")
        })?;
        self.take_receipts(&frame.receipts)?;
        self.take_cursor(frame, truth)
    }

    fn kind(&self, frame: &Frame, truth: &Truth) -> Kind {
        if frame.snapshot {
            Kind::Snapshot
        } else if !self.opening.is_empty() {
            Kind::Opening
        } else if self.changed(truth).is_empty() && !self.unlisted.is_empty() && !truth.warming_up {
            Kind::List
        } else {
            Kind::Changes
        }
    }

    fn lags(&self, truth: &Truth) -> bool {
        self.opening.is_empty() && self.place < truth.floor
    }

    /// Who is not as they were when this one last read, and those who revoked.
    fn changed(&self, truth: &Truth) -> BTreeSet<Uid> {
        let differs =
            |(uid, now): &(&Uid, &Shown)| self.then.get(*uid).unwrap_or(&offline()) != *now;
        let changed = truth.shown.iter().filter(differs).map(|(uid, _)| *uid);
        changed.chain(self.revoked.iter().copied()).collect()
    }

    /// Of whom the next frame ought to tell, which is not a snapshot.
    fn expected(&self, truth: &Truth) -> BTreeSet<Uid> {
        let changed = self.changed(truth);
        if !changed.is_empty() || truth.warming_up {
            return changed;
        }
        self.unlisted.iter().copied().collect()
    }

    fn believe(&mut self, presence: &PresenceUpdate, kind: Kind, truth: &Truth) -> Held {
        let (uid, said) = (presence.uid.bits(), shown(presence));
        let now = truth.shown.get(&uid).ok_or_else(|| format!("1: {uid} never granted it"))?;
        let now = if kind == Kind::Opening { self.opening.get(&uid).unwrap_or(now) } else { now };
        let hides = now.0 == Status::Offline && said.0 != Status::Offline;
        ensure(!hides, || format!("1: {uid} hides, and is {said:?}"))?;
        ensure(said == *now, || format!("3: {uid} is {said:?} and ought to be {now:?}"))?;
        let revoked = kind != Kind::Opening && self.revoked.contains(&uid);
        let whole = said.0 != Status::Offline || presence.message.is_none();
        ensure(whole && presence.since == presence.since.truncated_to_secs(), || {
            format!("7: {presence:?}")
        })?;
        ensure(presence.revoked == revoked, || format!("revoked: {presence:?}"))?;
        let known = self.belief.get(&uid).cloned();
        let again = match kind {
            Kind::Snapshot | Kind::Opening => false,
            Kind::List => known.as_ref() == Some(&said),
            Kind::Changes => {
                !self.awaits && !presence.revoked && known.unwrap_or_else(offline) == said
            }
        };
        ensure(!again, || format!("2: {uid} is {said:?} again"))?;
        let before = self.versions.insert(uid, presence.version);
        let grows = before.is_none_or(|before| match kind {
            Kind::Changes => before < presence.version,
            Kind::Snapshot | Kind::Opening | Kind::List => before <= presence.version,
        });
        ensure(grows, || format!("5: {before:?}, then {presence:?}"))?;
        self.unlisted.remove(&uid);
        self.belief.insert(uid, said);
        Ok(())
    }

    fn settle(&mut self, kind: Kind, truth: &Truth) {
        match kind {
            Kind::Opening => {
                // It was copied when the socket opened; what came since is in the log.
                self.then.append(&mut self.opening);
                return;
            }
            Kind::Snapshot => (self.awaits, self.must_be_gap) = (false, false),
            Kind::List | Kind::Changes => {}
        }
        (self.place, self.then) = (truth.head, truth.shown.clone());
        self.revoked.clear();
    }

    /// It lags while a snapshot has to wait: what it now reads is true, and not all.
    fn waits_for_a_gap(&mut self, truth: &Truth) -> Held {
        let may = self.habit.form == (WireFormat::Paged { receipts: false }) && truth.warming_up;
        ensure(may, || "3: a gap went unnoticed".to_owned())?;
        (self.awaits, self.must_be_gap) = (true, true);
        self.settle(Kind::Changes, truth);
        Ok(())
    }

    fn take_receipts(&mut self, receipts: &[Receipt]) -> Held {
        for receipt in receipts {
            let place = self.owed.iter().position(|owed| owed == receipt);
            let place =
                place.ok_or_else(|| format!("8: must not be told, or not again: {receipt:?}"))?;
            self.owed.remove(place);
        }
        Ok(())
    }

    fn take_cursor(&mut self, frame: &Frame, truth: &Truth) -> Held {
        if self.habit.form == WireFormat::Plain {
            return Ok(());
        }
        let place = frame.cursor.as_ref().map(|(_, place)| *place);
        let due = (!self.awaits).then_some(truth.head);
        ensure(place == due, || format!("6: the cursor stands for {place:?}, not {due:?}"))?;
        if let Some((text, place)) = frame.cursor.clone() {
            self.cursor = Some(Cursor { text, place, epoch: truth.epoch });
        }
        Ok(())
    }

    fn believes_the_truth(&self, truth: &Truth) -> Held {
        for (uid, now) in &truth.shown {
            let believed = self.belief.get(uid).cloned().unwrap_or_else(offline);
            ensure(believed == *now, || {
                format!("3: believes {uid} to be {believed:?}, not {now:?}")
            })?;
        }
        Ok(())
    }
}
