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
    /// Receipts that wait until the user is seen.
    withheld: Vec<Vec<Receipt>>,
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
            withheld: vec![vec![]; apps],
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
                self.hub.switch(app % apps, *active);
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
            Step::Receipt { user, app, state } => self.receipt(user % users, app % apps, *state),
            Step::Open { client, with_cursor } => self.open_if_closed(*client, *with_cursor),
            Step::Close { client } => self.close(*client),
            Step::Read { client, everything } => {
                let client = client % (self.clients.len() - apps);
                self.read(client, *everything)?;
            }
            Step::WarmedUp => self.warming_up = false,
            Step::Restart { warming_up } => self.restart(*warming_up),
        }
        self.release_receipts();
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
            self.connections.push(Connection { seat, loading: slowly.then_some(grants) });
        }
        Ok(())
    }

    fn load(&mut self, user: usize, grants: &Grants) {
        self.hub.load(user, grants);
        self.model.load(user, grants);
        // Grants may show a user whom the next word, or the next grants, hide again.
        self.release_receipts();
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
        self.hub.revoke(app, uid);
        for client in self.clients.iter_mut().filter(|client| client.habit.app == app) {
            client.will_hear_of_revoked(uid);
        }
        let (dead, other) = std::mem::take(&mut self.withheld[app])
            .into_iter()
            .partition(|receipt: &Receipt| receipt.uid.bits() == uid);
        self.withheld[app] = other;
        for receipt in Vec::from_iter(dead as Vec<Receipt>) {
            self.owe(app, Receipt { state: ReceiptState::Revoked, ..receipt });
        }
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

    fn receipt(&mut self, user: usize, app: usize, state: ReceiptState) {
        let Some(live) = self.tables[user].live.iter().find(|live| live.app == app) else { return };
        let uid = live.uid;
        self.count += 1;
        let id = NotificationId::from_bits(u128::from(self.count));
        let receipt = Receipt { id, uid: Puid::from_bits(uid), state };
        let seen = self.shown(app, uid).0 != Status::Offline;
        self.hub.receipt(app, receipt);
        if seen || matches!(state, ReceiptState::Expired | ReceiptState::Dropped) {
            self.owe(app, receipt);
        } else {
            self.withheld[app].push(receipt);
        }
    }

    fn release_receipts(&mut self) {
        for app in 0..self.active.len() {
            for receipt in std::mem::take(&mut self.withheld[app]) {
                if self.shown(app, receipt.uid.bits()).0 == Status::Offline {
                    self.withheld[app].push(receipt);
                } else {
                    self.owe(app, receipt);
                }
            }
        }
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
        self.withheld.iter_mut().for_each(Vec::clear);
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
