//! Lives a scenario: every step is done to the rules and to the model, then all who keep up read.

use std::collections::BTreeSet;
use std::time::Duration;

use presence_core::reader::WireFormat;
use presence_core::stream::Retention;
use presence_core::{Clock as _, ManualClock, UnixMillis};
use presence_protocol::app::{Receipt, ReceiptState};
use presence_protocol::{NotificationId, Puid, Status};

use crate::client::{Client, Held, Truth};
use crate::hub::{Hub, Next};
use crate::model::{Grants, Live, Model, Seat, Shown, Uid, offline};
use crate::step::{Change, Habit, SEATS, Scenario, Step};

/// A group of the writer, with the answers of the hub from before its transaction.
struct Group {
    releases: Vec<(usize, Uid)>,
    settled: Vec<(usize, Receipt, bool)>,
}

struct Connection {
    seat: Seat,
    /// Grants that were read and have yet to reach the hub; the device says nothing before.
    loading: Option<Grants>,
}

/// Everything.
pub(crate) struct World {
    hub: Hub,
    model: Model,
    kept: Retention,
    epoch: u64,
    warming_up: bool,
    active: Vec<bool>,
    /// The grants of each user in the tables.
    tables: Vec<Grants>,
    /// Sets of grants on their way to the hub.
    late: Vec<Vec<Grants>>,
    /// All names under which each Application ever knew somebody.
    known: Vec<BTreeSet<Uid>>,
    /// The taken rows of each Application in the tables.
    taken: Vec<Vec<Receipt>>,
    /// Settlements that wait for the next group of the writer.
    submitted: Vec<(usize, Receipt)>,
    /// The group whose transaction is open.
    group: Option<Group>,
    connections: Vec<Connection>,
    /// One for each habit, then one for each Application that reads everything and never leaves.
    clients: Vec<Client>,
    count: u64,
}

impl World {
    /// Lives a scenario; the error says after which step what went wrong.
    pub(crate) fn live(scenario: &Scenario) -> Held {
        let mut world = Self::new(scenario);
        world.everybody_reads().map_err(|error| format!("before the first step: {error}"))?;
        for (n, step) in (1..).zip(&scenario.steps) {
            let done = world.take(step).and_then(|()| world.everybody_reads());
            done.map_err(|error| format!("after step {n}, {step:?}: {error}"))?;
        }
        world.end().map_err(|error| format!("at the end: {error}"))
    }

    fn new(scenario: &Scenario) -> Self {
        let Scenario { users, apps, kept, warming_up, granted, clients, .. } = scenario.clone();
        let (active, now) = (vec![true; apps], UnixMillis::new(1_700_000_000_123));
        let habits = clients.into_iter().map(|habit| Habit { app: habit.app % apps, ..habit });
        let witness =
            |app| Habit { app, form: WireFormat::Paged { receipts: false }, keeps_up: true };
        let clients: Vec<_> = habits.chain((0..apps).map(witness)).map(Client::new).collect();
        let mut world = Self {
            hub: Hub::new(&active, now.as_secs(), kept, ManualClock::new(now)),
            model: Model::default(),
            kept,
            epoch: now.as_secs(),
            warming_up,
            active,
            tables: vec![Grants::default(); users],
            late: vec![vec![]; users],
            known: vec![BTreeSet::new(); apps],
            taken: vec![vec![]; apps],
            submitted: vec![],
            group: None,
            connections: vec![],
            clients,
            count: 0,
        };
        for (user, app) in (0..users).flat_map(|user| granted.iter().map(move |app| (user, *app))) {
            if app < apps {
                world.change(user, app, Change::Grant, false);
            }
        }
        (0..world.clients.len()).for_each(|client| world.open(client, false));
        world
    }

    fn take(&mut self, step: &Step) -> Held {
        let (users, apps) = (self.tables.len(), self.active.len());
        match step {
            Step::Connect { user, device, slowly } => {
                self.connect(user % users, *device, *slowly)?;
            }
            Step::Say { seat, status, text, only } => {
                self.say(*seat, &(*status, (*text).to_owned()), only.as_deref())?;
            }
            Step::ShowOnlyTo { seat, apps } => self.show_only_to(*seat, apps)?,
            Step::Leave { seat, clean } => self.leave(*seat, *clean)?,
            Step::EndDevice { user, device } => {
                self.hub.end(user % users, *device);
                self.model.end(user % users, *device);
            }
            Step::Change { user, app, change, late } => {
                self.change(user % users, app % apps, *change, *late);
            }
            Step::LateGrantsArrive { user, which } => self.late_grants_arrive(user % users, *which),
            Step::Switch { app, active } => {
                self.active[app % apps] = *active;
                self.hub.set_active(app % apps, *active);
            }
            Step::Wait { for_millis } => self.hub.clock.advance(Duration::from_millis(*for_millis)),
            Step::Tick { after_millis } => {
                let jump = Duration::from_millis(after_millis.unsigned_abs());
                if *after_millis < 0 {
                    self.hub.clock.set_now(self.hub.now() - jump);
                } else {
                    self.hub.clock.advance(jump);
                }
                self.tick();
            }
            Step::Receipt { user, app, state } => self.receipt(user % users, app % apps, *state)?,
            Step::BeginGroup => self.begin_group()?,
            Step::EndGroup { commits } => self.end_group(*commits),
            Step::Open { client, with_cursor } => self.open_if_closed(*client, *with_cursor),
            Step::Close { client } => self.close(*client),
            Step::Read { client, everything } => {
                let client = client % (self.clients.len() - apps);
                self.read(client, *everything)?;
            }
            Step::WarmedUp => self.warming_up = false,
            Step::Restart { warming_up } => self.restart(*warming_up),
        }
        self.check_releases()?;
        same("users in mind", self.model.users(), self.hub.users())
    }

    fn connect(&mut self, user: usize, device: usize, slowly: bool) -> Held {
        self.count += 1;
        let seat = Seat { user, device, generation: self.count };
        let (ours, theirs) = (self.model.connect(seat, SEATS), self.hub.connect(seat));
        same("a seat", ours, theirs)?;
        if ours {
            let grants = self.tables[user].clone();
            if slowly {
                self.late[user].push(grants.clone());
            } else {
                self.load(user, &grants);
            }
            self.note_taken_rows(user);
            self.connections.push(Connection { seat, loading: slowly.then_some(grants) });
        }
        Ok(())
    }

    fn load(&mut self, user: usize, grants: &Grants) {
        self.hub.load(user, grants);
        self.model.load(user, grants);
    }

    /// Notes the taken rows of a user, which the load of a device finds.
    fn note_taken_rows(&mut self, user: usize) {
        for Live { app, uid, .. } in self.tables[user].live.clone() {
            if self.taken[app].iter().any(|row| row.uid.bits() == uid) {
                self.hub.note_taken(app, uid);
            }
        }
    }

    /// The connection at so many places before the newest, its grants loaded.
    fn speaker(&mut self, back: usize) -> Option<Seat> {
        let place = self.connections.len().checked_sub(back + 1)?;
        let connection = &mut self.connections[place];
        let (seat, loading) = (connection.seat, connection.loading.take());
        if let Some(grants) = loading {
            self.load(seat.user, &grants);
        }
        Some(seat)
    }

    fn say(&mut self, back: usize, shown: &Shown, only: Option<&[usize]>) -> Held {
        let Some(seat) = self.speaker(back) else { return Ok(()) };
        // A text said while offline must go nowhere.
        let truth = if shown.0 == Status::Offline { offline() } else { shown.clone() };
        let ours = self.model.say(seat, truth, only);
        same("a status", ours, self.hub.say(seat, shown, only))
    }

    fn show_only_to(&mut self, back: usize, apps: &[usize]) -> Held {
        let Some(seat) = self.speaker(back) else { return Ok(()) };
        let ours = self.model.show_only_to(seat, apps);
        same("a visibility", ours, self.hub.show_only_to(seat, apps))
    }

    fn leave(&mut self, back: usize, clean: bool) -> Held {
        let Some(seat) = self.speaker(back) else { return Ok(()) };
        let ours = self.model.leave(seat, (!clean).then_some(self.hub.grace_end()));
        same("an end", ours, self.hub.leave(seat, clean))
    }

    fn change(&mut self, user: usize, app: usize, change: Change, late: bool) {
        // Changes of grants are committed by the writer, so after the open group.
        self.end_group(true);
        let live = &mut self.tables[user].live;
        let held = live.iter().position(|live| live.app == app);
        let mut revoked = None;
        match (change, held) {
            (Change::Grant, None) => {
                self.count += 1;
                let uid = (user as u128 + 1) * 100_000
                    + (app as u128 + 1) * 10_000
                    + u128::from(self.count);
                self.known[app].insert(uid);
                live.push(Live { app, uid, paused: false });
            }
            (Change::Pause | Change::Resume, Some(place)) => {
                live[place].paused = change == Change::Pause;
            }
            (Change::Revoke, Some(place)) => revoked = Some(live.remove(place).uid),
            (Change::Grant, Some(_)) | (Change::Pause | Change::Resume | Change::Revoke, None) => {
                return;
            }
        }
        self.tables[user].revision += 1;
        let grants = self.tables[user].clone();
        if late && revoked.is_none() {
            self.late[user].push(grants);
            return;
        }
        self.load(user, &grants);
        if let Some(uid) = revoked {
            self.revoke(app, uid);
        }
    }

    fn revoke(&mut self, app: usize, uid: Uid) {
        for client in self.clients.iter_mut().filter(|client| client.habit.app == app) {
            client.will_hear_of_revoked(uid);
        }
        let (ended, other): (Vec<Receipt>, Vec<Receipt>) =
            std::mem::take(&mut self.taken[app]).into_iter().partition(|row| row.uid.bits() == uid);
        self.taken[app] = other;
        for row in ended {
            self.append_receipt(app, Receipt { state: ReceiptState::Revoked, ..row });
        }
        self.hub.revoke(app, uid);
    }

    fn late_grants_arrive(&mut self, user: usize, which: usize) {
        if !self.late[user].is_empty() {
            let which = which % self.late[user].len();
            let grants = self.late[user].remove(which);
            self.load(user, &grants);
        }
    }

    fn tick(&mut self) {
        self.hub.tick();
        self.model.tick(self.hub.clock.steady());
    }

    fn receipt(&mut self, user: usize, app: usize, state: ReceiptState) -> Held {
        let Some(live) = self.tables[user].live.iter().find(|live| live.app == app) else {
            return Ok(());
        };
        let uid = live.uid;
        match state {
            ReceiptState::Delivered | ReceiptState::Acked => {
                let receipt = self.new_receipt(uid, state);
                self.submitted.push((app, receipt));
            }
            ReceiptState::Expired | ReceiptState::Dropped | ReceiptState::Revoked => {
                self.end_group(true);
                let row = self.taken[app].iter().position(|row| row.uid.bits() == uid);
                let receipt = match row {
                    Some(row) => Receipt { state, ..self.taken[app].remove(row) },
                    None => self.new_receipt(uid, state),
                };
                self.append_receipt(app, receipt);
            }
        }
        Ok(())
    }

    fn new_receipt(&mut self, uid: Uid, state: ReceiptState) -> Receipt {
        self.count += 1;
        let id = NotificationId::from_bits(u128::from(self.count));
        Receipt { id, uid: Puid::from_bits(uid), state }
    }

    fn append_receipt(&mut self, app: usize, receipt: Receipt) {
        self.hub.append_receipt(app, receipt);
        self.owe(app, receipt);
    }

    fn is_visible(&self, app: usize, uid: Uid) -> bool {
        self.shown(app, uid).0 != Status::Offline
    }

    /// Reads what the writer needs of the hub, before the transaction of the next group.
    fn begin_group(&mut self) -> Held {
        self.end_group(true);
        let releases = self.hub.take_releases();
        for (app, uid) in &releases {
            same("8: a release of a visible user", true, self.is_visible(*app, *uid))?;
        }
        let mut settled = vec![];
        for (app, receipt) in std::mem::take(&mut self.submitted) {
            let uid = receipt.uid.bits();
            if !self.tables.iter().flat_map(|grants| &grants.live).any(|live| live.uid == uid) {
                continue;
            }
            let visible = self.hub.is_visible(app, uid);
            same("8: the visibility of a settlement", self.is_visible(app, uid), visible)?;
            settled.push((app, receipt, visible));
        }
        self.group = Some(Group { releases, settled });
        Ok(())
    }

    /// Commits the open group, or rolls it back.
    fn end_group(&mut self, commits: bool) {
        let Some(Group { releases, settled }) = self.group.take() else { return };
        if !commits {
            releases.into_iter().for_each(|(app, uid)| self.hub.note_taken(app, uid));
            return;
        }
        for (app, uid) in releases {
            let (released, other): (Vec<Receipt>, Vec<Receipt>) =
                std::mem::take(&mut self.taken[app]).into_iter().partition(|r| r.uid.bits() == uid);
            self.taken[app] = other;
            released.into_iter().for_each(|receipt| self.append_receipt(app, receipt));
        }
        for (app, receipt, visible) in settled {
            if visible {
                self.append_receipt(app, receipt);
            } else {
                self.taken[app].push(receipt);
                self.hub.note_taken(app, receipt.uid.bits());
            }
        }
    }

    /// Checks that no taken row of a visible user stays without a release.
    fn check_releases(&self) -> Held {
        for (app, rows) in self.taken.iter().enumerate() {
            for row in rows {
                let uid = row.uid.bits();
                let releases = self.group.iter().flat_map(|group| &group.releases);
                let is_released = releases.into_iter().any(|release| *release == (app, uid));
                let is_due = is_released || self.hub.is_release_requested(app, uid);
                if self.is_visible(app, uid) && !is_due {
                    return Err(format!("9: nobody releases {row:?}"));
                }
            }
        }
        Ok(())
    }

    fn owe(&mut self, app: usize, receipt: Receipt) {
        for client in self.clients.iter_mut().filter(|client| client.habit.app == app) {
            client.will_hear_of(receipt);
        }
    }

    fn restart(&mut self, warming_up: bool) {
        let now = self.hub.now();
        self.epoch = now.as_secs().max(self.epoch + 1);
        self.hub = Hub::new(&self.active, self.epoch, self.kept, ManualClock::new(now));
        self.model = Model::default();
        self.warming_up = warming_up;
        self.connections.clear();
        self.submitted.clear();
        self.group = None;
        for client in 0..self.clients.len() {
            if self.clients[client].reader.take().is_some() {
                self.open(client, true);
            }
        }
    }

    fn open_if_closed(&mut self, client: usize, with_cursor: bool) {
        let client = client % (self.clients.len() - self.active.len());
        if self.clients[client].reader.is_none() {
            self.open(client, with_cursor);
        }
    }

    fn close(&mut self, client: usize) {
        let client = client % (self.clients.len() - self.active.len());
        self.clients[client].reader = None;
    }

    fn open(&mut self, client: usize, with_cursor: bool) {
        let app = self.clients[client].habit.app;
        let of_app = self.tables.iter().flat_map(|grants| &grants.live).filter(|l| l.app == app);
        let live = of_app.map(|live| live.uid).collect();
        let truth = self.truth(app);
        self.clients[client].open(self.hub.stream(app), with_cursor, &truth, live);
    }

    fn shown(&self, app: usize, uid: Uid) -> Shown {
        if self.active[app] { self.model.shown(uid) } else { offline() }
    }

    fn truth(&self, app: usize) -> Truth {
        let stream = self.hub.stream(app);
        Truth {
            shown: self.known[app].iter().map(|uid| (*uid, self.shown(app, *uid))).collect(),
            head: stream.head(),
            floor: stream.floor(),
            warming_up: self.warming_up,
            epoch: self.epoch,
        }
    }

    /// Those who keep up read everything.
    fn everybody_reads(&mut self) -> Held {
        for client in 0..self.clients.len() {
            if self.clients[client].habit.keeps_up && self.clients[client].reader.is_some() {
                self.read(client, true)?;
            }
        }
        Ok(())
    }

    /// One frame, or all until there is nothing. Who is closed as too slow and keeps up comes back at once.
    fn read(&mut self, number: usize, everything: bool) -> Held {
        let app = self.clients[number].habit.app;
        let truth = self.truth(app);
        let named = |error| format!("client {number} (of application {app}): {error}");
        loop {
            let client = &mut self.clients[number];
            let Some(reader) = &mut client.reader else { return Ok(()) };
            match self.hub.next(app, reader, self.warming_up) {
                Next::Nothing => return client.hears_nothing(&truth).map_err(named),
                Next::Frame(frame) => client.hears(&frame, &truth).map_err(named)?,
                Next::TooSlow => {
                    client.is_too_slow(&truth).map_err(named)?;
                    if everything {
                        self.open(number, true);
                    }
                }
            }
            if !everything {
                return Ok(());
            }
        }
    }

    /// Everything arrives and is read; then everybody leaves, and that is read too.
    fn end(&mut self) -> Held {
        for (user, late) in std::mem::take(&mut self.late).into_iter().enumerate() {
            for grants in &late {
                self.load(user, grants);
            }
        }
        self.warming_up = false;
        self.run_writer()?;
        self.all_read_and_agree()?;
        for back in 0..self.connections.len() {
            self.leave(back, false)?;
        }
        self.hub.clock.advance(Duration::from_secs(2_000_000));
        self.tick();
        self.all_read_and_agree()?;
        let here = |client: &Client| client.belief.values().any(|shown| *shown != offline());
        same("somebody here", false, self.clients.iter().any(here))
    }

    /// Lets the writer do everything that waits.
    fn run_writer(&mut self) -> Held {
        for _ in 0..2 {
            self.begin_group()?;
            self.end_group(true);
        }
        for (app, rows) in self.taken.iter().enumerate() {
            let visible = rows.iter().find(|row| self.is_visible(app, row.uid.bits()));
            same("9: a row that was not released", None, visible)?;
        }
        Ok(())
    }

    fn all_read_and_agree(&mut self) -> Held {
        for client in 0..self.clients.len() {
            if self.clients[client].reader.is_none() {
                self.open(client, true);
            }
            self.read(client, true)?;
        }
        let apps = self.active.len();
        let (clients, witnesses) = self.clients.split_at(self.clients.len() - apps);
        for client in clients {
            let here = |c: &Client| {
                let mut belief = c.belief.clone();
                belief.retain(|_, shown| *shown != offline());
                belief
            };
            let (ours, theirs) = (here(client), here(&witnesses[client.habit.app]));
            same("6: what one believes who never left", theirs, ours)?;
        }
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "callers read better without references")]
fn same<T: PartialEq + std::fmt::Debug>(what: &str, expected: T, found: T) -> Held {
    if expected == found { Ok(()) } else { Err(format!("{what}: {expected:?}, and was {found:?}")) }
}
