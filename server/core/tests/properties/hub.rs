//! The rules wired together as the server's hub does it: shard, then streams, then readers; without locks and sockets.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use presence_core::reader::{Page, ReadOutcome, Reader, WireFormat};
use presence_core::roster::{
    ConnectionId, ConnectionNumber, Disconnect, NewConnection, ViewChange,
};
use presence_core::shard::Shard;
use presence_core::stream::{Retention, Stream};
use presence_core::{Clock as _, Grant, GrantSet, ManualClock, Steady, UnixMillis, UserId, View};
use presence_protocol::app::Receipt;
use presence_protocol::{AppId, DeviceName, PresenceUpdate, Puid, StatusText};

use crate::model::{Grants, Seat, Shown, Uid};
use crate::step::{DEVICES, SEATS};

/// How long a lost device has to come back.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// What goes over the wire.
#[expect(clippy::struct_excessive_bools, reason = "so it is on the wire")]
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) snapshot: bool,
    pub(crate) gap: bool,
    pub(crate) more: bool,
    pub(crate) presence: Vec<PresenceUpdate>,
    pub(crate) receipts: Vec<Receipt>,
    /// With the place that it stands for.
    pub(crate) cursor: Option<(String, u64)>,
    /// Whether these are the bytes that another reader got.
    pub(crate) shared: bool,
}

/// What a socket gets next.
pub(crate) enum Next {
    Nothing,
    Frame(Frame),
    TooSlow,
}

struct Shared {
    form: WireFormat,
    from: u64,
    to: u64,
    frame: Frame,
}

struct TestTopic {
    stream: Stream,
    shared: Option<Shared>,
}

/// The hub of one epoch.
pub(crate) struct Hub {
    shard: Shard<u64>,
    topics: Vec<TestTopic>,
    /// The releases that the writer is to take.
    releases: VecDeque<(usize, Uid)>,
    /// What the rosters last had told of each.
    told: BTreeMap<Puid, View>,
    pub(crate) clock: ManualClock,
}

fn app_id(app: usize) -> AppId {
    AppId::from_bits(app as u128)
}

fn user_id(user: usize) -> UserId {
    UserId(user.try_into().unwrap())
}

fn seat_id(device: &DeviceName, seat: Seat) -> ConnectionId<'_> {
    ConnectionId { device, number: ConnectionNumber(seat.generation) }
}

fn name(device: usize) -> DeviceName {
    DEVICES[device].parse().unwrap()
}

impl Hub {
    pub(crate) fn new(active: &[bool], epoch: u64, kept: Retention, clock: ManualClock) -> Self {
        let id = |app: usize| epoch * 1_000 + app as u64;
        let topic = |(app, active): (usize, &bool)| TestTopic {
            stream: Stream::new(id(app), epoch, *active, kept),
            shared: None,
        };
        Self {
            shard: Shard::default(),
            told: BTreeMap::new(),
            topics: active.iter().enumerate().map(topic).collect(),
            releases: VecDeque::new(),
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

    /// How many users it has in mind.
    pub(crate) fn users(&self) -> usize {
        self.shard.rosters().count()
    }

    pub(crate) fn stream(&self, app: usize) -> &Stream {
        &self.topics[app].stream
    }

    /// Whether there was a seat.
    pub(crate) fn connect(&mut self, seat: Seat) -> bool {
        let (user, now) = (user_id(seat.user), self.now());
        let roster = self.shard.get_or_create(user);
        let device = name(seat.device);
        let new = NewConnection { id: seat_id(&device, seat), handle: seat.generation, now };
        let connected = roster.connect(new, SEATS);
        self.shard.remove_if_empty(user);
        connected.is_ok()
    }

    pub(crate) fn load(&mut self, user: usize, grants: &Grants) {
        let live = grants.live.iter().map(|live| Grant {
            app: app_id(live.app),
            puid: Puid::from_bits(live.uid),
            paused: live.paused,
            granted_at: UnixMillis::default(),
        });
        let set = GrantSet { revision: grants.revision, grants: live.collect() };
        let mut told = vec![];
        if let Some(roster) = self.shard.get_mut(user_id(user)) {
            roster.set_grants(set, &mut told);
        }
        self.tell(told);
    }

    /// Whether the seat was still its own.
    pub(crate) fn say(
        &mut self,
        seat: Seat,
        (status, text): &Shown,
        only: Option<&[usize]>,
    ) -> bool {
        let text = (!text.is_empty()).then(|| StatusText::try_from(text.as_str()).unwrap());
        let (view, only) = (View::new(*status, text), only.map(ids));
        let (device, mut told) = (name(seat.device), vec![]);
        let said = self.shard.get_mut(user_id(seat.user)).is_some_and(|roster| {
            roster.report(seat_id(&device, seat), view, only, &mut told).is_ok()
        });
        self.tell(told);
        said
    }

    /// Whether the seat was still its own.
    pub(crate) fn show_only_to(&mut self, seat: Seat, apps: &[usize]) -> bool {
        let (device, mut told) = (name(seat.device), vec![]);
        let shown = self.shard.get_mut(user_id(seat.user)).is_some_and(|roster| {
            roster.set_visibility(seat_id(&device, seat), ids(apps), &mut told).is_ok()
        });
        self.tell(told);
        shown
    }

    /// Whether the seat was still its own.
    pub(crate) fn leave(&mut self, seat: Seat, clean: bool) -> bool {
        let (user, until) = (user_id(seat.user), self.grace_end());
        let ending = if clean { Disconnect::Clean } else { Disconnect::Lost { until } };
        let (device, mut told) = (name(seat.device), vec![]);
        let left = self.shard.get_mut(user).is_some_and(|roster| {
            roster.disconnect(seat_id(&device, seat), ending, &mut told).is_ok()
        });
        if left {
            self.shard.schedule(user, until);
        }
        self.shard.remove_if_empty(user);
        self.tell(told);
        left
    }

    pub(crate) fn end(&mut self, user: usize, device: usize) {
        let mut told = vec![];
        if let Some(roster) = self.shard.get_mut(user_id(user)) {
            roster.end_device(&name(device), &mut told);
        }
        self.shard.remove_if_empty(user_id(user));
        self.tell(told);
    }

    pub(crate) fn tick(&mut self) {
        let mut told = vec![];
        self.shard.tick(self.clock.steady(), &mut told);
        self.tell(told);
        let now = self.now();
        self.topics.iter_mut().for_each(|topic| topic.stream.prune(now));
    }

    pub(crate) fn revoke(&mut self, app: usize, uid: Uid) {
        let now = self.now();
        self.topics[app].stream.revoke(Puid::from_bits(uid), now);
    }

    pub(crate) fn set_active(&mut self, app: usize, active: bool) {
        let now = self.now();
        for puid in self.topics[app].stream.set_active(active, now) {
            self.request_release(app, puid);
        }
    }

    pub(crate) fn append_receipt(&mut self, app: usize, receipt: Receipt) {
        let now = self.now();
        self.topics[app].stream.append_receipt(receipt, now);
    }

    /// Returns the answer that the writer gets before it settles.
    pub(crate) fn is_visible(&self, app: usize, uid: Uid) -> bool {
        self.topics[app].stream.is_visible(Puid::from_bits(uid))
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

    /// What a reader gets next; readers that keep up share their bytes.
    pub(crate) fn next(&mut self, app: usize, reader: &mut Reader, warming_up: bool) -> Next {
        let TestTopic { stream, shared } = &mut self.topics[app];
        let (form, from, to) = (reader.format(), reader.shared_position(), stream.head());
        if let Some(found) =
            shared.as_ref().filter(|s| (s.form, Some(s.from), s.to) == (form, from, to))
        {
            reader.skip_to(to);
            return Next::Frame(Frame { shared: true, ..found.frame.clone() });
        }
        let frame = match reader.next(stream, warming_up) {
            ReadOutcome::Nothing => return Next::Nothing,
            ReadOutcome::TooSlow => return Next::TooSlow,
            ReadOutcome::Page(page) => frame(page, stream),
        };
        if let Some(from) = from
            && reader.shared_position() == Some(to)
        {
            *shared = Some(Shared { form, from, to, frame: frame.clone() });
        }
        Next::Frame(frame)
    }

    fn tell(&mut self, told: Vec<ViewChange>) {
        let now = self.now();
        for ViewChange { app, puid, view } in told {
            let last = self.told.insert(puid, view.clone()).unwrap_or_default();
            assert_ne!(last, view, "2: a roster tells only of changes");
            let stream = &mut self.topics[usize::try_from(app.bits()).unwrap()].stream;
            let before = stream.head();
            let known = stream.latest(puid);
            let changes = (known.status, known.message) != (view.status, view.text.clone());
            let published = stream.publish(puid, view.clone(), now);
            let changed = published.changed;
            assert_eq!(changed, stream.head() > before, "sockets are woken if there is an entry");
            assert!(changes || !changed, "2: a stream appends only changes");
            assert!(!stream.publish(puid, view, now).changed, "2: a repetition is not appended");
            if published.release_due {
                self.request_release(usize::try_from(app.bits()).unwrap(), puid);
            }
        }
    }
}

fn ids(apps: &[usize]) -> Vec<AppId> {
    apps.iter().map(|app| app_id(*app)).collect()
}

fn frame(page: Page, stream: &Stream) -> Frame {
    let Page { snapshot, gap, more, presence, receipts, up_to } = page;
    let cursor = up_to.map(|place| (stream.cursor(place), place));
    Frame { snapshot, gap, more, presence, receipts, cursor, shared: false }
}
