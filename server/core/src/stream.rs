//! One Application's stream: what it was told of whom, in order, and the log from which readers are served.
//!
//! The stream is the one place that assigns versions and cursors, and makes snapshots from its own table, so all agree.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::time::Duration;

use presence_protocol::app::{Receipt, ReceiptState};
use presence_protocol::{PresenceUpdate, Puid, Status, UnixMillis};

use crate::roster::View;

/// How much of the past a stream keeps for those who resume.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// The most entries.
    pub entries: usize,
    /// The maximum age of an entry.
    pub age: Duration,
}

/// Versions are the start of the epoch in seconds times 2^20, plus a counter, so that they grow over restarts too.
const COUNTER_BITS: u32 = 20;
/// Receipts withheld for one user; more than a queue holds cannot be waiting.
const HELD: usize = presence_protocol::limits::QUEUE_ITEMS;

struct Row {
    /// What the Application was last told.
    told: PresenceUpdate,
    /// What it would be told if it were active.
    truth: View,
}

pub(crate) enum Said {
    Update {
        now: PresenceUpdate,
        /// What was told before.
        before: View,
    },
    Receipt(Receipt),
}

impl Said {
    /// An update that is one, also to who has heard all before it.
    pub(crate) fn change(&self) -> Option<&PresenceUpdate> {
        match self {
            Self::Update { now, before } => (now.revoked || *before != of(now)).then_some(now),
            Self::Receipt(_) => None,
        }
    }
}

struct Entry {
    at: UnixMillis,
    said: Said,
}

/// One Application's stream.
pub struct Stream {
    id: u64,
    base: u64,
    active: bool,
    head: u64,
    table: BTreeMap<Puid, Row>,
    log: VecDeque<Entry>,
    kept: Retention,
    held: HashMap<Puid, Vec<Receipt>>,
}

impl Stream {
    /// An empty stream. `id` is random, so that cursors of other streams and epochs are known as foreign; `epoch` is in seconds.
    pub fn new(id: u64, epoch: u64, active: bool, kept: Retention) -> Self {
        Self {
            id,
            base: epoch << COUNTER_BITS,
            active,
            head: 0,
            table: BTreeMap::new(),
            log: VecDeque::new(),
            kept,
            held: HashMap::new(),
        }
    }

    /// Whether the Application is active.
    pub fn is_active(&self) -> bool {
        self.active
    }

    /// The place of the newest entry.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// The oldest place from which everything since is still known.
    pub fn floor(&self) -> u64 {
        self.head - self.log.len() as u64
    }

    /// How many entries are kept.
    pub fn kept(&self) -> usize {
        self.log.len()
    }

    /// The user is shown like this from now on. True where there is something new to read.
    #[must_use]
    pub fn tell(&mut self, puid: Puid, view: View, now: UnixMillis) -> bool {
        let base = self.base;
        let row = self
            .table
            .entry(puid)
            .or_insert_with(|| Row { told: unknown(puid, base), truth: View::default() });
        row.truth = view;
        if !self.active || row.told.status == row.truth.status && row.told.message == row.truth.text
        {
            return false;
        }
        let view = row.truth.clone();
        let told = presence(puid, view, (base + self.head + 1, now));
        let before = std::mem::replace(&mut row.told, told.clone());
        self.say(told, &before, now);
        true
    }

    /// The user revoked the grant: the PUID is dead.
    pub fn revoke(&mut self, puid: Puid, now: UnixMillis) {
        let before = self.table.remove(&puid).map(|row| of(&row.told)).unwrap_or_default();
        for receipt in self.held.remove(&puid).unwrap_or_default() {
            self.push(now, Said::Receipt(Receipt { state: ReceiptState::Revoked, ..receipt }));
        }
        let version = self.base + self.head + 1;
        let told =
            PresenceUpdate { revoked: true, ..presence(puid, View::default(), (version, now)) };
        self.push(now, Said::Update { now: told, before });
    }

    /// Starts or stops the stream. Stopped, everybody is offline; started again, everybody is what they are.
    pub fn set_active(&mut self, active: bool, now: UnixMillis) {
        if self.active == active {
            return;
        }
        self.active = active;
        let wanted = |row: &Row| if active { row.truth.clone() } else { View::default() };
        let changed: Vec<(Puid, View)> = self
            .table
            .iter()
            .map(|(puid, row)| (*puid, wanted(row)))
            .filter(|(puid, view)| of(&self.get(*puid)) != *view)
            .collect();
        for (puid, view) in changed {
            self.change(puid, view, now);
        }
    }

    /// The last word on a notification. Held back while the Application sees the user offline, since it must not show who hides.
    /// True where there is something new to read.
    #[must_use]
    pub fn receipt(&mut self, receipt: Receipt, now: UnixMillis) -> bool {
        let tells_of_a_device = match receipt.state {
            ReceiptState::Delivered | ReceiptState::Acked => true,
            ReceiptState::Expired | ReceiptState::Dropped | ReceiptState::Revoked => false,
        };
        if tells_of_a_device && !self.shows(receipt.uid) {
            let held = self.held.entry(receipt.uid).or_default();
            if held.len() == HELD {
                held.remove(0);
            }
            held.push(receipt);
            return false;
        }
        self.push(now, Said::Receipt(receipt));
        true
    }

    /// Whether the Application sees this user as anything but offline.
    pub fn shows(&self, puid: Puid) -> bool {
        self.table.get(&puid).is_some_and(|row| row.told.status != Status::Offline)
    }

    /// What the Application was last told of a user.
    pub fn get(&self, puid: Puid) -> PresenceUpdate {
        self.table.get(&puid).map_or_else(|| unknown(puid, self.base), |row| row.told.clone())
    }

    /// Users who are not offline, after one of them in the order of PUIDs.
    pub fn present_after(&self, after: Option<Puid>) -> impl Iterator<Item = &PresenceUpdate> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.table
            .range((from, Bound::Unbounded))
            .map(|(_, row)| &row.told)
            .filter(|told| told.status != Status::Offline)
    }

    /// Forgets what is older than what is kept.
    pub fn prune(&mut self, now: UnixMillis) {
        let oldest = now - self.kept.age;
        while self.log.front().is_some_and(|entry| entry.at < oldest) {
            self.log.pop_front();
        }
    }

    /// The text of a place, for one who wants to resume there.
    pub fn cursor(&self, place: u64) -> String {
        format!("{:016x}{place:x}", self.id)
    }

    /// The place of a cursor, if everything since is still known.
    pub fn place(&self, cursor: &str) -> Option<u64> {
        let (id, place) = cursor.split_at_checked(16)?;
        let place = u64::from_str_radix(place, 16).ok()?;
        let ours = u64::from_str_radix(id, 16).is_ok_and(|id| id == self.id);
        (ours && (self.floor()..=self.head).contains(&place)).then_some(place)
    }

    /// What was said after a place, with places.
    pub(crate) fn since(&self, place: u64) -> impl Iterator<Item = (u64, &Said)> {
        let skip = usize::try_from(place.saturating_sub(self.floor())).unwrap_or(usize::MAX);
        (place + 1..).zip(self.log.iter().skip(skip).map(|entry| &entry.said))
    }

    fn change(&mut self, puid: Puid, view: View, now: UnixMillis) {
        let told = presence(puid, view, (self.base + self.head + 1, now));
        let Some(row) = self.table.get_mut(&puid) else { return };
        let before = std::mem::replace(&mut row.told, told.clone());
        self.say(told, &before, now);
    }

    /// What was told goes into the log; who is seen again has the receipts that were held back.
    fn say(&mut self, told: PresenceUpdate, before: &PresenceUpdate, now: UnixMillis) {
        let (puid, seen) = (told.uid, told.status != Status::Offline);
        self.push(now, Said::Update { now: told, before: of(before) });
        if seen
            && !self.held.is_empty()
            && let Some(receipts) = self.held.remove(&puid)
        {
            for receipt in receipts {
                self.push(now, Said::Receipt(receipt));
            }
        }
    }

    fn push(&mut self, at: UnixMillis, said: Said) {
        self.head += 1;
        self.log.push_back(Entry { at, said });
        if self.log.len() > self.kept.entries {
            self.log.pop_front();
        }
    }
}

/// Applications get whole seconds, since finer times would let two of them link their PUIDs.
fn presence(puid: Puid, view: View, (version, now): (u64, UnixMillis)) -> PresenceUpdate {
    PresenceUpdate {
        uid: puid,
        status: view.status,
        version,
        since: now.truncated_to_secs(),
        message: view.text,
        revoked: false,
    }
}

/// Of whom nothing was told in this epoch: offline since it began.
fn unknown(puid: Puid, base: u64) -> PresenceUpdate {
    PresenceUpdate {
        uid: puid,
        status: Status::Offline,
        version: base,
        since: UnixMillis::from_secs(base >> COUNTER_BITS),
        message: None,
        revoked: false,
    }
}

pub(crate) fn of(told: &PresenceUpdate) -> View {
    View { status: told.status, text: told.message.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: Puid = Puid::from_bits(7);
    const KEPT: Retention = Retention { entries: 10, age: Duration::from_hours(1) };

    fn at(millis: u64) -> UnixMillis {
        UnixMillis::new(millis)
    }

    fn online() -> View {
        View::new(Status::Online, None)
    }

    #[test]
    fn versions_grow_over_restarts() {
        let mut first = Stream::new(1, 1_000, true, KEPT);
        for n in 0..100 {
            let view = if n % 2 == 0 { online() } else { View::default() };
            assert!(first.tell(UID, view, at(0)));
        }
        let mut second = Stream::new(2, 1_001, true, KEPT);
        assert!(second.get(UID).version > first.get(UID).version);
        assert!(second.tell(UID, online(), at(0)));
        assert!(second.get(UID).version > first.get(UID).version);
    }

    #[test]
    fn since_is_in_whole_seconds() {
        let mut stream = Stream::new(1, 1_000, true, KEPT);
        assert!(stream.tell(UID, online(), at(1_234_567)));
        assert_eq!(stream.get(UID).since, at(1_234_000));
    }

    #[test]
    fn only_a_change_is_said() {
        let mut stream = Stream::new(1, 1_000, true, KEPT);
        assert!(!stream.tell(UID, View::default(), at(0)));
        assert!(stream.tell(UID, online(), at(0)));
        assert!(!stream.tell(UID, online(), at(1)));
        assert_eq!(stream.head(), 1);
    }

    #[test]
    fn a_stopped_stream_says_one_offline_then_nothing_and_the_truth_when_started() {
        let mut stream = Stream::new(1, 1_000, true, KEPT);
        assert!(stream.tell(UID, online(), at(0)));
        stream.set_active(false, at(5));
        assert_eq!((stream.head(), stream.shows(UID)), (2, false));
        assert!(!stream.tell(UID, View::new(Status::Unavailable, None), at(6)));
        stream.set_active(true, at(7));
        assert_eq!((stream.head(), stream.get(UID).status), (3, Status::Unavailable));
    }

    #[test]
    fn cursors_of_other_streams_of_lost_places_and_nonsense_are_foreign() {
        let mut stream = Stream::new(1, 1_000, true, KEPT);
        for n in 0..12 {
            let view = if n % 2 == 0 { online() } else { View::default() };
            assert!(stream.tell(UID, view, at(0)));
        }
        assert_eq!(stream.place(&stream.cursor(12)), Some(12));
        assert_eq!(stream.place(&stream.cursor(2)), Some(2));
        assert_eq!(stream.place(&stream.cursor(1)), None);
        assert_eq!(stream.place(&stream.cursor(13)), None);
        assert_eq!(stream.place(&Stream::new(2, 1_000, true, KEPT).cursor(0)), None);
        for nonsense in ["", "é", "0000000000000001", "0000000000000001-1", "zzzzzzzzzzzzzzzzz1"] {
            assert_eq!(stream.place(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn what_is_older_than_an_hour_is_not_kept() {
        let mut stream = Stream::new(1, 1_000, true, KEPT);
        assert!(stream.tell(UID, online(), at(0)));
        stream.prune(at(3_600_000));
        assert_eq!(stream.floor(), 0);
        stream.prune(at(3_600_001));
        assert_eq!(stream.floor(), 1);
    }

    #[test]
    fn a_receipt_that_tells_of_a_device_waits_until_the_user_is_seen() {
        let id = presence_protocol::NotificationId::from_bits(1);
        let mut stream = Stream::new(1, 1_000, true, KEPT);
        let acked = Receipt { id, uid: UID, state: ReceiptState::Acked };
        assert!(!stream.receipt(acked, at(0)));
        assert_eq!(stream.head(), 0);
        assert!(stream.receipt(Receipt { state: ReceiptState::Expired, ..acked }, at(0)));
        assert!(stream.tell(UID, online(), at(0)));
        assert_eq!(stream.head(), 3);
    }
}
