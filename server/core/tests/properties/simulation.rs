//! The run of a scenario: each step is applied to the rules and to the model, and then the clients
//! that keep up read.

mod devices;
mod grants;
mod holds;
mod sockets;
mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use presence_core::reader::WireFormat;
use presence_core::stream::Retention;
use presence_core::{ManualClock, UnixMillis};
use presence_protocol::app::Receipt;
use presence_protocol::{NotificationId, Status};

use crate::client::{CheckResult, Client, ExpectedState};
use crate::hub::{HOLD, TestHub};
use crate::model::{ConnectionKey, Model, ModelGrantSet, Uid, VisibleStatus, offline};
use crate::step::{Change, ClientConfig, Scenario, Step};

use self::holds::SeenUser;

/// A group of the writer, with the answers of the hub from before its transaction.
struct WriterGroup {
    /// The grants to release, with their Applications.
    releases: Vec<(usize, Uid)>,
    /// The settlements, each with its Application, and with true if its receipt is immediate.
    settled: Vec<(usize, Receipt, bool)>,
}

/// A connection that was opened.
struct Connection {
    key: ConnectionKey,
    /// The grants that were read and have not reached the hub. The device sends no frame before.
    loading: Option<ModelGrantSet>,
}

/// The rules, the model, and the state of all clients.
pub(crate) struct Simulation {
    hub: TestHub,
    model: Model,
    kept: Retention,
    epoch: u64,
    warming_up: bool,
    active: Vec<bool>,
    /// The grants of each user in the store.
    stored_grants: Vec<ModelGrantSet>,
    /// The sets of grants of each user that were read and have not reached the hub.
    late: Vec<Vec<ModelGrantSet>>,
    /// The PUIDs of all grants that each Application ever had.
    known_uids: Vec<BTreeSet<Uid>>,
    /// The taken rows of each Application in the store.
    taken: Vec<Vec<Receipt>>,
    /// The settlements that wait for the next group of the writer.
    submitted: Vec<(usize, Receipt)>,
    /// The releases of the next group, if they are taken.
    next_releases: Option<Vec<(usize, Uid)>>,
    /// The group whose transaction is open.
    group: Option<WriterGroup>,
    /// The users whom each Application sees.
    seen: BTreeMap<(usize, Uid), SeenUser>,
    /// The last receipt of a settlement under each PUID. Settlements are numbered in order.
    last_settled: BTreeMap<Uid, NotificationId>,
    connections: Vec<Connection>,
    /// The clients of the scenario, then one client of each Application that reads everything and
    /// never closes its socket.
    clients: Vec<Client>,
    /// The last number that was used for a connection, a PUID or a notification.
    count: u64,
}

impl Simulation {
    /// Runs a scenario. The error names the step and the broken promise.
    pub(crate) fn run(scenario: &Scenario) -> CheckResult {
        let mut simulation = Self::new(scenario);
        simulation
            .read_current_clients()
            .map_err(|error| format!("before the first step: {error}"))?;
        for (n, step) in (1..).zip(&scenario.steps) {
            let done = simulation.apply(step).and_then(|()| simulation.read_current_clients());
            done.map_err(|error| format!("after step {n}, {step:?}: {error}"))?;
        }
        simulation.end().map_err(|error| format!("at the end: {error}"))
    }

    fn new(scenario: &Scenario) -> Self {
        let Scenario { users, apps, kept, warming_up, granted, clients, .. } = scenario.clone();
        let (active, now) = (vec![true; apps], UnixMillis::new(1_700_000_000_123));
        let configs =
            clients.into_iter().map(|config| ClientConfig { app: config.app % apps, ..config });
        let witness = |app| ClientConfig {
            app,
            format: WireFormat::Paged { receipts: false },
            keeps_up: true,
        };
        let clients: Vec<_> = configs.chain((0..apps).map(witness)).map(Client::new).collect();
        let mut simulation = Self {
            hub: TestHub::new(&active, now.as_secs(), kept, ManualClock::new(now)),
            model: Model::default(),
            kept,
            epoch: now.as_secs(),
            warming_up,
            active,
            stored_grants: vec![ModelGrantSet::default(); users],
            late: vec![vec![]; users],
            known_uids: vec![BTreeSet::new(); apps],
            taken: vec![vec![]; apps],
            submitted: vec![],
            next_releases: None,
            group: None,
            seen: BTreeMap::new(),
            last_settled: BTreeMap::new(),
            connections: vec![],
            clients,
            count: 0,
        };
        for (user, app) in (0..users).flat_map(|user| granted.iter().map(move |app| (user, *app))) {
            if app < apps {
                simulation.change(user, app, Change::Grant, false);
            }
        }
        (0..simulation.clients.len()).for_each(|client| simulation.open(client, false));
        simulation
    }

    fn apply(&mut self, step: &Step) -> CheckResult {
        let (users, apps) = (self.stored_grants.len(), self.active.len());
        match step {
            Step::Connect { user, device, late } => {
                self.connect(user % users, *device, *late)?;
            }
            Step::Report { connection, status, text, only } => {
                self.report(*connection, &(*status, (*text).to_owned()), only.as_deref())?;
            }
            Step::SetVisibility { connection, apps } => self.set_visibility(*connection, apps)?,
            Step::Disconnect { connection, clean } => self.disconnect(*connection, *clean)?,
            Step::EndDevice { user, device } => {
                self.hub.end_device(user % users, *device);
                self.model.end_device(user % users, *device);
            }
            Step::Change { user, app, change, late } => {
                self.change(user % users, app % apps, *change, *late);
            }
            Step::DeliverLateGrants { user, which } => {
                self.deliver_late_grants(user % users, *which);
            }
            Step::SetActive { app, active } => {
                self.active[app % apps] = *active;
                self.hub.set_active(app % apps, *active);
            }
            Step::Wait { millis } => self.hub.clock.advance(Duration::from_millis(*millis)),
            Step::Tick { millis } => {
                let jump = Duration::from_millis(millis.unsigned_abs());
                if *millis < 0 {
                    self.hub.clock.set_now(self.hub.now() - jump);
                } else {
                    self.hub.clock.advance(jump);
                }
                self.tick();
            }
            Step::Receipt { user, app, state } => self.receipt(user % users, app % apps, *state),
            Step::TakeReleases => self.take_releases()?,
            Step::BeginGroup => self.begin_group()?,
            Step::EndGroup { commits } => self.end_group(*commits),
            Step::OpenSocket { client, with_cursor } => self.open_if_closed(*client, *with_cursor),
            Step::CloseSocket { client } => self.close(*client),
            Step::ReadSocket { client, everything } => {
                let client = client % (self.clients.len() - apps);
                self.read(client, *everything)?;
            }
            Step::EndWarmUp => self.warming_up = false,
            Step::Restart { warming_up } => self.restart(*warming_up),
        }
        self.note_seen();
        self.check_releases()?;
        check_equal("number of users", self.model.users(), self.hub.users())
    }

    fn is_visible(&self, app: usize, uid: Uid) -> bool {
        self.visible_status(app, uid).0 != Status::Offline
    }

    fn restart(&mut self, warming_up: bool) {
        let now = self.hub.now();
        self.epoch = now.as_secs().max(self.epoch + 1);
        self.hub = TestHub::new(&self.active, self.epoch, self.kept, ManualClock::new(now));
        self.model = Model::default();
        self.warming_up = warming_up;
        self.connections.clear();
        self.submitted.clear();
        self.next_releases = None;
        self.group = None;
        self.seen.clear();
        for client in 0..self.clients.len() {
            if self.clients[client].reader.take().is_some() {
                self.open(client, true);
            }
        }
    }

    fn visible_status(&self, app: usize, uid: Uid) -> VisibleStatus {
        if self.active[app] { self.model.visible_status(uid) } else { offline() }
    }

    fn expected(&self, app: usize) -> ExpectedState {
        let stream = self.hub.stream(app);
        ExpectedState {
            visible: self.known_uids[app]
                .iter()
                .map(|uid| (*uid, self.visible_status(app, *uid)))
                .collect(),
            head: stream.head(),
            floor: stream.floor(),
            warming_up: self.warming_up,
            epoch: self.epoch,
        }
    }

    /// Delivers and reads everything, then disconnects all devices, and reads that too.
    fn end(&mut self) -> CheckResult {
        for (user, late) in std::mem::take(&mut self.late).into_iter().enumerate() {
            for grants in &late {
                self.load(user, grants);
            }
        }
        self.warming_up = false;
        self.note_seen();
        self.hub.clock.advance(HOLD);
        self.tick();
        self.run_writer()?;
        self.read_all()?;
        for back in 0..self.connections.len() {
            self.disconnect(back, false)?;
        }
        self.hub.clock.advance(Duration::from_secs(2_000_000));
        self.tick();
        self.read_all()?;
        let has_visible =
            |client: &Client| client.state.values().any(|status| *status != offline());
        check_equal("a visible user", false, self.clients.iter().any(has_visible))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "callers read better without references")]
fn check_equal<T: PartialEq + std::fmt::Debug>(what: &str, expected: T, found: T) -> CheckResult {
    if expected == found {
        Ok(())
    } else {
        Err(format!("{what}: expected {expected:?}, found {found:?}"))
    }
}
