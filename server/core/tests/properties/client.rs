//! An AppService with one socket: it applies what it reads, keeps its cursor, and checks each frame
//! against the expected state.

use std::collections::{BTreeMap, BTreeSet};

use presence_core::reader::{Reader, WireFormat};
use presence_core::stream::Stream;
use presence_protocol::app::Receipt;
use presence_protocol::{PresenceUpdate, Status};

use crate::hub::Frame;
use crate::model::{Uid, VisibleStatus, offline};
use crate::step::ClientConfig;

/// The result of a check. The error names the promise that was broken.
pub(crate) type CheckResult = Result<(), String>;

/// The state that an Application is expected to see at this moment.
pub(crate) struct ExpectedState {
    /// The status under every PUID that the Application ever had, revoked ones included.
    pub(crate) visible: BTreeMap<Uid, VisibleStatus>,
    pub(crate) head: u64,
    pub(crate) floor: u64,
    pub(crate) warming_up: bool,
    pub(crate) epoch: u64,
}

/// A cursor, with the position that it stands for.
struct Cursor {
    text: String,
    position: u64,
    epoch: u64,
}

/// The kind of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FrameKind {
    Snapshot,
    /// In the plain format, the users who were not offline when the socket opened.
    Initial,
    /// In the plain format, the users who are offline.
    OfflineList,
    Changes,
}

/// An AppService.
pub(crate) struct Client {
    pub(crate) config: ClientConfig,
    pub(crate) reader: Option<Reader>,
    /// The state as read so far.
    pub(crate) state: BTreeMap<Uid, VisibleStatus>,
    awaits_snapshot: bool,
    gap_expected: bool,
    cursor: Option<Cursor>,
    /// The position up to which it has read.
    position: u64,
    /// The expected state when it last read.
    read_state: BTreeMap<Uid, VisibleStatus>,
    /// The rest of the expected initial frames in the plain format.
    initial: BTreeMap<Uid, VisibleStatus>,
    /// The users whose status it has not got yet in the plain format.
    unlisted: BTreeSet<Uid>,
    /// The grants that were revoked since it last read.
    revoked: BTreeSet<Uid>,
    expected_receipts: Vec<Receipt>,
    versions: BTreeMap<Uid, u64>,
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> CheckResult {
    if holds { Ok(()) } else { Err(otherwise()) }
}

fn visible_status(update: &PresenceUpdate) -> VisibleStatus {
    (update.status, update.message.as_ref().map_or("", |text| text.as_str()).to_owned())
}

fn not_offline(all: &BTreeMap<Uid, VisibleStatus>) -> BTreeMap<Uid, VisibleStatus> {
    all.iter()
        .filter(|(_, status)| status.0 != Status::Offline)
        .map(|(uid, status)| (*uid, status.clone()))
        .collect()
}

impl Client {
    pub(crate) fn new(config: ClientConfig) -> Self {
        Self {
            config,
            reader: None,
            state: BTreeMap::new(),
            awaits_snapshot: false,
            gap_expected: false,
            cursor: None,
            position: 0,
            read_state: BTreeMap::new(),
            initial: BTreeMap::new(),
            unlisted: BTreeSet::new(),
            revoked: BTreeSet::new(),
            expected_receipts: vec![],
            versions: BTreeMap::new(),
        }
    }

    /// Opens a socket. `granted` are the PUIDs of the current grants.
    pub(crate) fn open(
        &mut self,
        stream: &Stream,
        with_cursor: bool,
        expected: &ExpectedState,
        granted: Vec<Uid>,
    ) {
        let cursor = self.cursor.take().filter(|_| with_cursor);
        let resumes = cursor
            .as_ref()
            .is_some_and(|c| c.epoch == expected.epoch && c.position >= expected.floor);
        if !resumes {
            self.revoked.clear();
            self.expected_receipts.clear();
        }
        (self.position, self.read_state) = match &cursor {
            Some(cursor) if resumes => (cursor.position, self.state.clone()),
            Some(_) | None => (expected.head, expected.visible.clone()),
        };
        self.initial.clear();
        self.unlisted.clear();
        self.reader = Some(match self.config.format {
            WireFormat::Plain => {
                self.state.clear();
                self.initial = not_offline(&expected.visible);
                self.unlisted.extend(&granted);
                Reader::plain(
                    stream,
                    granted.into_iter().map(presence_protocol::Puid::from_bits).collect(),
                )
            }
            WireFormat::Paged { receipts } => {
                (self.awaits_snapshot, self.gap_expected) = (!resumes, cursor.is_some());
                Reader::paged(stream, cursor.as_ref().map(|c| c.text.as_str()), receipts)
            }
        });
        self.cursor = cursor;
    }

    /// Expects the update of a revoked grant, which comes even if the user was offline.
    pub(crate) fn expect_revocation(&mut self, uid: Uid) {
        self.revoked.insert(uid);
    }

    /// Expects a receipt, if this client gets receipts.
    pub(crate) fn expect_receipt(&mut self, receipt: Receipt) {
        if self.config.format == (WireFormat::Paged { receipts: true }) {
            self.expected_receipts.push(receipt);
        }
    }

    /// Checks that there may be nothing to read.
    pub(crate) fn handle_nothing(&mut self, expected: &ExpectedState) -> CheckResult {
        if self.lags(expected) {
            return self.expect_gap(expected);
        }
        let missed = self.expected_uids(expected);
        let offlines =
            missed.iter().filter(|uid| expected.visible[uid].0 == Status::Offline).count();
        ensure(missed.is_empty(), || {
            format!("3: no update of {missed:?}; 4: {offlines} of them are offline")
        })?;
        self.position = expected.head;
        let waits = self.awaits_snapshot || !self.unlisted.is_empty();
        ensure(!waits || expected.warming_up, || {
            "3: no snapshot, or no list of offline users".to_owned()
        })?;
        ensure(self.expected_receipts.is_empty(), || {
            format!("8: missing receipts {:?}", self.expected_receipts)
        })?;
        if self.awaits_snapshot { Ok(()) } else { self.check_state(expected) }
    }

    /// Checks that the socket may be closed since it reads too slowly.
    pub(crate) fn handle_too_slow(&mut self, expected: &ExpectedState) -> CheckResult {
        self.reader = None;
        ensure(self.position < expected.floor, || "closed as too slow, but it was not".to_owned())?;
        ensure(self.config.format != (WireFormat::Paged { receipts: false }), || {
            "closed as too slow instead of a gap".to_owned()
        })
    }

    /// Applies and checks a frame.
    pub(crate) fn handle_frame(&mut self, frame: &Frame, expected: &ExpectedState) -> CheckResult {
        let kind = self.kind(frame, expected);
        let partly = kind == FrameKind::Changes && !frame.shared && self.lags(expected);
        let expected_uids = match kind {
            FrameKind::Snapshot => not_offline(&expected.visible).into_keys().collect(),
            FrameKind::Initial => self.initial.keys().copied().collect(),
            FrameKind::OfflineList | FrameKind::Changes => self.expected_uids(expected),
        };
        if kind == FrameKind::Snapshot {
            let is_due = self.awaits_snapshot || self.lags(expected);
            ensure(is_due && !expected.warming_up, || "an unexpected snapshot".to_owned())?;
            let gap = self.gap_expected || self.lags(expected);
            ensure(frame.gap == gap, || format!("gap is {}", frame.gap))?;
            self.state.clear();
        }
        ensure(!frame.more, || "`more` is set, but everything fits on a page".to_owned())?;
        let mut named = BTreeSet::new();
        for update in &frame.presence {
            let uid = update.uid.bits();
            ensure(named.insert(uid), || format!("4: {uid} twice in a frame"))?;
            self.apply_update(update, kind, expected)?;
        }
        self.mark_read(kind, expected);
        if partly {
            return self.expect_gap(expected);
        }
        ensure(named == expected_uids, || {
            format!("3, 4: {kind:?} has {named:?}, expected {expected_uids:?}")
        })?;
        self.check_receipts(&frame.receipts)?;
        self.check_cursor(frame, expected)
    }

    fn kind(&self, frame: &Frame, expected: &ExpectedState) -> FrameKind {
        if frame.snapshot {
            FrameKind::Snapshot
        } else if !self.initial.is_empty() {
            FrameKind::Initial
        } else if self.changed(expected).is_empty()
            && !self.unlisted.is_empty()
            && !expected.warming_up
        {
            FrameKind::OfflineList
        } else {
            FrameKind::Changes
        }
    }

    fn lags(&self, expected: &ExpectedState) -> bool {
        self.initial.is_empty() && self.position < expected.floor
    }

    /// Returns the users whose status differs from the last read one, and the revoked grants.
    fn changed(&self, expected: &ExpectedState) -> BTreeSet<Uid> {
        let differs = |(uid, now): &(&Uid, &VisibleStatus)| {
            self.read_state.get(*uid).unwrap_or(&offline()) != *now
        };
        let changed = expected.visible.iter().filter(differs).map(|(uid, _)| *uid);
        changed.chain(self.revoked.iter().copied()).collect()
    }

    /// Returns the users of the next frame if it is not a snapshot.
    fn expected_uids(&self, expected: &ExpectedState) -> BTreeSet<Uid> {
        let changed = self.changed(expected);
        if !changed.is_empty() || expected.warming_up {
            return changed;
        }
        self.unlisted.iter().copied().collect()
    }

    fn apply_update(
        &mut self,
        update: &PresenceUpdate,
        kind: FrameKind,
        expected: &ExpectedState,
    ) -> CheckResult {
        let (uid, status) = (update.uid.bits(), visible_status(update));
        let now = expected.visible.get(&uid).ok_or_else(|| format!("1: {uid} never granted it"))?;
        let now =
            if kind == FrameKind::Initial { self.initial.get(&uid).unwrap_or(now) } else { now };
        let hides = now.0 == Status::Offline && status.0 != Status::Offline;
        ensure(!hides, || format!("1: {uid} is hidden, but reported as {status:?}"))?;
        ensure(status == *now, || format!("3: {uid} is {status:?}, expected {now:?}"))?;
        let revoked = kind != FrameKind::Initial && self.revoked.contains(&uid);
        let is_well_formed = status.0 != Status::Offline || update.message.is_none();
        ensure(is_well_formed && update.since == update.since.truncated_to_secs(), || {
            format!("7: {update:?}")
        })?;
        ensure(update.revoked == revoked, || format!("revoked: {update:?}"))?;
        let known = self.state.get(&uid).cloned();
        let is_change = kind == FrameKind::Changes && status.0 == Status::Offline;
        ensure(is_change || update.cause.is_none(), || format!("9: a cause in {update:?}"))?;
        let was_visible = known.as_ref().is_some_and(|known| known.0 != Status::Offline);
        let is_seen_to_go = is_change && was_visible && !self.awaits_snapshot;
        ensure(!is_seen_to_go || update.cause.is_some(), || format!("9: no cause in {update:?}"))?;
        let is_repetition = match kind {
            FrameKind::Snapshot | FrameKind::Initial => false,
            FrameKind::OfflineList => known.as_ref() == Some(&status),
            FrameKind::Changes => {
                !self.awaits_snapshot && !update.revoked && known.unwrap_or_else(offline) == status
            }
        };
        ensure(!is_repetition, || format!("2: {uid} is {status:?} again"))?;
        let before = self.versions.insert(uid, update.version);
        let grows = before.is_none_or(|before| match kind {
            FrameKind::Changes => before < update.version,
            FrameKind::Snapshot | FrameKind::Initial | FrameKind::OfflineList => {
                before <= update.version
            }
        });
        ensure(grows, || format!("5: {before:?}, then {update:?}"))?;
        self.unlisted.remove(&uid);
        self.state.insert(uid, status);
        Ok(())
    }

    fn mark_read(&mut self, kind: FrameKind, expected: &ExpectedState) {
        match kind {
            FrameKind::Initial => {
                // The initial state is from the opening of the socket. The log has what came since.
                self.read_state.append(&mut self.initial);
                return;
            }
            FrameKind::Snapshot => (self.awaits_snapshot, self.gap_expected) = (false, false),
            FrameKind::OfflineList | FrameKind::Changes => {}
        }
        (self.position, self.read_state) = (expected.head, expected.visible.clone());
        self.revoked.clear();
    }

    /// Expects a gap: during the warm-up, a client that lags reads true but incomplete updates.
    fn expect_gap(&mut self, expected: &ExpectedState) -> CheckResult {
        let is_allowed =
            self.config.format == (WireFormat::Paged { receipts: false }) && expected.warming_up;
        ensure(is_allowed, || "3: a gap was not reported".to_owned())?;
        (self.awaits_snapshot, self.gap_expected) = (true, true);
        self.mark_read(FrameKind::Changes, expected);
        Ok(())
    }

    fn check_receipts(&mut self, receipts: &[Receipt]) -> CheckResult {
        for receipt in receipts {
            let position = self.expected_receipts.iter().position(|expected| expected == receipt);
            let position =
                position.ok_or_else(|| format!("8: unexpected or repeated: {receipt:?}"))?;
            self.expected_receipts.remove(position);
        }
        Ok(())
    }

    fn check_cursor(&mut self, frame: &Frame, expected: &ExpectedState) -> CheckResult {
        if self.config.format == WireFormat::Plain {
            return Ok(());
        }
        let position = frame.cursor.as_ref().map(|(_, position)| *position);
        let is_due = (!self.awaits_snapshot).then_some(expected.head);
        ensure(position == is_due, || {
            format!("6: the cursor stands for {position:?}, not {is_due:?}")
        })?;
        if let Some((text, position)) = frame.cursor.clone() {
            self.cursor = Some(Cursor { text, position, epoch: expected.epoch });
        }
        Ok(())
    }

    fn check_state(&self, expected: &ExpectedState) -> CheckResult {
        for (uid, now) in &expected.visible {
            let found = self.state.get(uid).cloned().unwrap_or_else(offline);
            ensure(found == *now, || format!("3: believes {uid} to be {found:?}, not {now:?}"))?;
        }
        Ok(())
    }
}
