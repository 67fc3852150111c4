//! The rules connected as in the server's hub: a shard, the streams, and the readers, without locks
//! and sockets.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use presence_core::reader::{Page, ReadOutcome, Reader, WireFormat};
use presence_core::roster::{
    ConnectionId, ConnectionNumber, Disconnect, NewConnection, ViewChange,
};
use presence_core::shard::Shard;
use presence_core::stream::{HoldEnd, Retention, Stream};
use presence_core::{Clock as _, Grant, GrantSet, ManualClock, Steady, UnixMillis, UserId, View};
use presence_protocol::app::Receipt;
use presence_protocol::{AppId, DeviceName, PresenceUpdate, Puid, StatusText};

use crate::model::{ConnectionKey, ModelGrantSet, Uid, VisibleStatus};
use crate::step::{DEVICES, MAX_CONNECTIONS};

/// The time for which a lost device keeps its presence.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// The time for which the receipts of a user are held whom an Application begins to see.
pub(crate) const HOLD: Duration = Duration::from_secs(30);

/// A frame with its contents.
#[expect(clippy::struct_excessive_bools, reason = "the frame on the wire has these flags")]
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) snapshot: bool,
    pub(crate) gap: bool,
    pub(crate) more: bool,
    pub(crate) presence: Vec<PresenceUpdate>,
    pub(crate) receipts: Vec<Receipt>,
    /// The cursor, with the position that it stands for.
    pub(crate) cursor: Option<(String, u64)>,
    /// Set if another reader got the same frame.
    pub(crate) shared: bool,
}

/// The next frame of a socket, if any.
pub(crate) enum NextFrame {
    Nothing,
    Frame(Frame),
    TooSlow,
}

struct SharedFrame {
    format: WireFormat,
    from: u64,
    to: u64,
    frame: Frame,
}

struct TestTopic {
    stream: Stream,
    shared: Option<SharedFrame>,
}

/// The hub of one epoch.
pub(crate) struct TestHub {
    shard: Shard<u64>,
    topics: Vec<TestTopic>,
    /// The releases that the writer is to take.
    releases: VecDeque<(usize, Uid)>,
    /// The ends of holds, at most one for each grant.
    hold_ends: Vec<(Steady, usize, Uid)>,
    /// The last view that a roster published under each PUID.
    last_views: BTreeMap<Puid, View>,
    pub(crate) clock: ManualClock,
}

fn app_id(app: usize) -> AppId {
    AppId::from_bits(app as u128)
}

fn user_id(user: usize) -> UserId {
    UserId(user.try_into().unwrap())
}

fn connection_id(device: &DeviceName, connection: ConnectionKey) -> ConnectionId<'_> {
    ConnectionId { device, number: ConnectionNumber(connection.number) }
}

fn device_name(device: usize) -> DeviceName {
    DEVICES[device].parse().unwrap()
}

impl TestHub {
    pub(crate) fn new(active: &[bool], epoch: u64, kept: Retention, clock: ManualClock) -> Self {
        let id = |app: usize| epoch * 1_000 + app as u64;
        let topic = |(app, active): (usize, &bool)| TestTopic {
            stream: Stream::new(id(app), epoch, *active, kept),
            shared: None,
        };
        Self {
            shard: Shard::default(),
            last_views: BTreeMap::new(),
            topics: active.iter().enumerate().map(topic).collect(),
            releases: VecDeque::new(),
            hold_ends: Vec::new(),
            clock,
        }
    }

    pub(crate) fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// Returns the end of the grace time of a connection that is lost now.
    pub(crate) fn grace_end(&self) -> Steady {
        self.clock.steady() + GRACE
    }

    /// Returns the number of users with a roster.
    pub(crate) fn users(&self) -> usize {
        self.shard.rosters().count()
    }

    pub(crate) fn stream(&self, app: usize) -> &Stream {
        &self.topics[app].stream
    }

    /// Connects a device. Returns false if the user has too many connections.
    pub(crate) fn connect(&mut self, connection: ConnectionKey) -> bool {
        let (user, now) = (user_id(connection.user), self.now());
        let roster = self.shard.get_or_create(user);
        let device = device_name(connection.device);
        let new = NewConnection {
            id: connection_id(&device, connection),
            handle: connection.number,
            now,
        };
        let connected = roster.connect(new, MAX_CONNECTIONS);
        self.shard.remove_if_empty(user);
        connected.is_ok()
    }

    pub(crate) fn load(&mut self, user: usize, grants: &ModelGrantSet) {
        let granted = grants.grants.iter().map(|grant| Grant {
            app: app_id(grant.app),
            puid: Puid::from_bits(grant.uid),
            paused: grant.paused,
            waiting: false,
            granted_at: UnixMillis::default(),
        });
        let set = GrantSet { revision: grants.revision, grants: granted.collect() };
        let mut changes = vec![];
        if let Some(roster) = self.shard.get_mut(user_id(user)) {
            roster.set_grants(set, &mut changes);
        }
        self.publish(changes);
    }

    /// Sets the status of a device. Returns false if the connection was replaced.
    pub(crate) fn report(
        &mut self,
        connection: ConnectionKey,
        (status, text): &VisibleStatus,
        only: Option<&[usize]>,
    ) -> bool {
        let text = (!text.is_empty()).then(|| StatusText::try_from(text.as_str()).unwrap());
        let (view, only) = (View::new(*status, text), only.map(ids));
        let (device, mut changes) = (device_name(connection.device), vec![]);
        let reported = self.shard.get_mut(user_id(connection.user)).is_some_and(|roster| {
            roster.report(connection_id(&device, connection), view, only, &mut changes).is_ok()
        });
        self.publish(changes);
        reported
    }

    /// Sets the visibility of a device. Returns false if the connection was replaced.
    pub(crate) fn set_visibility(&mut self, connection: ConnectionKey, apps: &[usize]) -> bool {
        let (device, mut changes) = (device_name(connection.device), vec![]);
        let is_current = self.shard.get_mut(user_id(connection.user)).is_some_and(|roster| {
            roster
                .set_visibility(connection_id(&device, connection), ids(apps), &mut changes)
                .is_ok()
        });
        self.publish(changes);
        is_current
    }

    /// Ends a connection. Returns false if it was replaced.
    pub(crate) fn disconnect(&mut self, connection: ConnectionKey, clean: bool) -> bool {
        let (user, until) = (user_id(connection.user), self.grace_end());
        let ending = if clean { Disconnect::Clean } else { Disconnect::Lost { until } };
        let (device, mut changes) = (device_name(connection.device), vec![]);
        let disconnected = self.shard.get_mut(user).is_some_and(|roster| {
            roster.disconnect(connection_id(&device, connection), ending, &mut changes).is_ok()
        });
        if disconnected {
            self.shard.schedule(user, until);
        }
        self.shard.remove_if_empty(user);
        self.publish(changes);
        disconnected
    }

    pub(crate) fn end_device(&mut self, user: usize, device: usize) {
        let mut changes = vec![];
        if let Some(roster) = self.shard.get_mut(user_id(user)) {
            roster.end_device(&device_name(device), &mut changes);
        }
        self.shard.remove_if_empty(user_id(user));
        self.publish(changes);
    }

    pub(crate) fn tick(&mut self) {
        let mut changes = vec![];
        self.shard.tick(self.clock.steady(), &mut changes);
        self.publish(changes);
        let now = self.now();
        self.topics.iter_mut().for_each(|topic| topic.stream.prune(now));
        self.end_holds();
    }

    fn end_holds(&mut self) {
        let (steady, now) = (self.clock.steady(), self.now());
        let (due, later) = std::mem::take(&mut self.hold_ends)
            .into_iter()
            .partition(|(until, ..): &(Steady, usize, Uid)| *until <= steady);
        self.hold_ends = later;
        for (_, app, uid) in due {
            let puid = Puid::from_bits(uid);
            match self.topics[app].stream.end_hold(puid, steady, now) {
                HoldEnd::Over => {}
                HoldEnd::Release => self.request_release(app, puid),
                HoldEnd::Later(until) => self.hold_ends.push((until, app, uid)),
            }
        }
    }

    fn begin_hold(&mut self, app: usize, puid: Puid) {
        let until = self.clock.steady() + HOLD;
        if self.topics[app].stream.set_hold_end(puid, until) {
            let is_of_grant =
                |(_, of, uid): &(Steady, usize, Uid)| (*of, *uid) == (app, puid.bits());
            assert!(!self.hold_ends.iter().any(is_of_grant), "11: two ends of a hold");
            self.hold_ends.push((until, app, puid.bits()));
        }
    }

    pub(crate) fn revoke(&mut self, app: usize, uid: Uid) {
        let now = self.now();
        self.topics[app].stream.revoke(Puid::from_bits(uid), now);
    }

    pub(crate) fn set_active(&mut self, app: usize, active: bool) {
        let now = self.now();
        for puid in self.topics[app].stream.set_active(active, now) {
            self.begin_hold(app, puid);
        }
    }

    pub(crate) fn append_receipt(&mut self, app: usize, receipt: Receipt) {
        let now = self.now();
        self.topics[app].stream.append_receipt(receipt, now);
    }

    pub(crate) fn finish_release(&mut self, app: usize, uid: Uid) {
        let now = self.now();
        self.topics[app].stream.finish_release(Puid::from_bits(uid), now);
    }

    /// Returns the answer that the writer gets before it settles.
    pub(crate) fn gives_immediate_receipts(&self, app: usize, uid: Uid) -> bool {
        self.topics[app].stream.gives_immediate_receipts(Puid::from_bits(uid))
    }

    /// Notes a taken row, after the commit of a settlement, a load or a failed release.
    pub(crate) fn note_taken(&mut self, app: usize, uid: Uid) {
        let puid = Puid::from_bits(uid);
        if self.topics[app].stream.note_taken(puid) {
            self.request_release(app, puid);
        }
    }

    /// Takes the requested releases of grants that are visible now.
    pub(crate) fn take_releases(&mut self) -> Vec<(usize, Uid)> {
        let requested = std::mem::take(&mut self.releases).into_iter();
        let is_due = |(app, uid): &(usize, Uid)| {
            self.topics[*app].stream.start_release(Puid::from_bits(*uid))
        };
        requested.filter(is_due).collect()
    }

    /// Returns true if the writer will take a release of this grant with its next group.
    pub(crate) fn is_release_requested(&self, app: usize, uid: Uid) -> bool {
        self.releases.contains(&(app, uid))
    }

    fn request_release(&mut self, app: usize, puid: Puid) {
        let grant = (app, puid.bits());
        assert!(!self.releases.contains(&grant), "8: a release is requested twice");
        self.releases.push_back(grant);
    }

    /// Returns the next frame of a reader. Readers without lag share frames.
    pub(crate) fn next(&mut self, app: usize, reader: &mut Reader, warming_up: bool) -> NextFrame {
        let TestTopic { stream, shared } = &mut self.topics[app];
        let (format, from, to) = (reader.format(), reader.shared_position(), stream.head());
        if let Some(found) =
            shared.as_ref().filter(|s| (s.format, Some(s.from), s.to) == (format, from, to))
        {
            reader.skip_to(to);
            return NextFrame::Frame(Frame { shared: true, ..found.frame.clone() });
        }
        let frame = match reader.next(stream, warming_up) {
            ReadOutcome::Nothing => return NextFrame::Nothing,
            ReadOutcome::TooSlow => return NextFrame::TooSlow,
            ReadOutcome::Page(page) => frame(page, stream),
        };
        if let Some(from) = from
            && reader.shared_position() == Some(to)
        {
            *shared = Some(SharedFrame { format, from, to, frame: frame.clone() });
        }
        NextFrame::Frame(frame)
    }

    fn publish(&mut self, changes: Vec<ViewChange>) {
        let now = self.now();
        for ViewChange { app, puid, view, cause } in changes {
            let last = self.last_views.insert(puid, view.clone()).unwrap_or_default();
            assert_ne!(last, view, "2: a roster publishes only changes");
            let stream = &mut self.topics[usize::try_from(app.bits()).unwrap()].stream;
            let before = stream.head();
            let known = stream.latest(puid);
            let differs = (known.status, known.message) != (view.status, view.text.clone());
            let published = stream.publish(puid, view.clone(), cause, now);
            let appended = published.changed;
            assert_eq!(appended, stream.head() > before, "sockets are woken if there is an entry");
            assert!(differs || !appended, "2: a stream appends only changes");
            assert!(
                !stream.publish(puid, view, cause, now).changed,
                "2: a repetition is not appended"
            );
            if published.appeared {
                self.begin_hold(usize::try_from(app.bits()).unwrap(), puid);
            }
        }
    }
}

fn ids(apps: &[usize]) -> Vec<AppId> {
    apps.iter().map(|app| app_id(*app)).collect()
}

fn frame(page: Page, stream: &Stream) -> Frame {
    let Page { snapshot, gap, more, presence, receipts, up_to } = page;
    let cursor = up_to.map(|position| (stream.cursor(position), position));
    Frame { snapshot, gap, more, presence, receipts, cursor, shared: false }
}
