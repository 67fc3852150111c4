//! The users, devices and Applications of a run, with what is known of them.

use std::collections::{BTreeMap, BTreeSet};

use presence_core::model::{App, ApplicationState};
use presence_core::{UnixMillis, UserId};
use presence_protocol::{AppId, DeviceName, NotificationId, Puid};
use presence_store::Store;
use tokio::task::{AbortHandle, JoinSet};

use super::accounts::{Erasure, create_user};
use super::application::{Application, ShownViews};
use super::command::{Answer, Command, DOMAIN, GrantChange};
use super::device::SimulatedDevice;
use super::rng::SeededRng;
use super::switches::KnownSwitch;

pub(super) const USERS: usize = 8;
/// The names of devices.
pub(super) const DEVICES: [&str; 2] = ["phone", "laptop"];
/// The Applications. The first two have the same grants all the time.
pub(super) const APPS: usize = 4;
pub(super) const TWINS: usize = 2;
/// The maximum number of servers, and the number of sockets of an Application.
pub(super) const SERVERS: usize = 3;

/// The possible states of a grant: none, or one that is paused or not.
pub(super) type KnownGrant = Option<(Puid, bool)>;

/// A grant.
pub(super) struct SimulatedGrant {
    pub(super) states: Vec<KnownGrant>,
    /// The changes that failed, which may still be done until the next rest.
    pub(super) late: Vec<GrantChange>,
    /// The step since which it is known that the Application sees nothing under this PUID.
    pub(super) hidden: Option<(Puid, usize)>,
}

/// A notification that was sent.
pub(super) struct SentNotification {
    pub(super) app: usize,
    /// Set if it was accepted for certain; `None` if this is not known.
    pub(super) accepted: Option<bool>,
    /// The places of its receipts.
    pub(super) receipts: Vec<String>,
    /// Set if the tables with its receipt may have been emptied.
    pub(super) may_be_lost: bool,
}

/// A command that waits for its answer.
pub(super) struct InFlight {
    pub(super) server: usize,
    pub(super) begun: usize,
    pub(super) command: Command,
    task: AbortHandle,
}

/// The world.
pub(super) struct World {
    pub(super) users: Vec<UserId>,
    pub(super) erasures: Vec<Erasure>,
    /// The users whose erasure is done.
    pub(super) erased: Vec<UserId>,
    pub(super) apps: Vec<AppId>,
    pub(super) keys: Vec<i64>,
    pub(super) switches: Vec<KnownSwitch>,
    /// The devices, those of one user after each other.
    pub(super) devices: Vec<SimulatedDevice>,
    /// The grants of each user.
    pub(super) grants: Vec<Vec<SimulatedGrant>>,
    pub(super) readers: Vec<Application>,
    /// The readers whose Application was off at their last attempt.
    pub(super) refused: BTreeSet<usize>,
    pub(super) shown: Vec<ShownViews>,
    /// The newest version of each user that an Application was told.
    pub(super) newest: Vec<BTreeMap<Puid, u64>>,
    /// The versions at which an Application was switched off.
    pub(super) off_versions: Vec<BTreeSet<u64>>,
    pub(super) notifications: BTreeMap<NotificationId, SentNotification>,
    /// The last place of each stream that was looked at for receipts, by epoch and Application.
    pub(super) seen_places: BTreeMap<(usize, usize), usize>,
    pub(super) in_flight: BTreeMap<usize, InFlight>,
    tasks: JoinSet<(usize, Answer)>,
    pub(super) last_id: usize,
    /// The step at which the live tables were emptied last, since the last rest.
    pub(super) emptied_at: Option<usize>,
    /// Set while nothing goes wrong.
    pub(super) is_calm: bool,
}

impl SimulatedGrant {
    /// Notes a change, before or after which those that failed may be done.
    pub(super) fn change(&mut self, change: GrantChange, is_done: bool) {
        let before = if is_done { Vec::new() } else { self.states.clone() };
        if !is_done {
            self.late.push(change);
        }
        let after = self.states.iter().map(|state| change.apply(*state));
        self.states = after.chain(before).collect();
        loop {
            let late = self.late.iter();
            let more = late.flat_map(|late| self.states.iter().map(|state| late.apply(*state)));
            let more: Vec<KnownGrant> = more.filter(|it| !self.states.contains(it)).collect();
            if more.is_empty() {
                break;
            }
            self.states.extend(more);
            self.states.sort_unstable();
            self.states.dedup();
        }
    }
}

fn no_grants() -> Vec<SimulatedGrant> {
    let grant = |_| SimulatedGrant { states: vec![None], late: Vec::new(), hidden: None };
    (0..APPS).map(grant).collect()
}

/// Returns the user of a device.
pub(super) fn user_of(device: usize) -> usize {
    device / DEVICES.len()
}

pub(super) fn device_name(device: usize) -> DeviceName {
    DEVICES[device % DEVICES.len()].parse().unwrap()
}

/// Returns the Application of a reader.
pub(super) fn app_of(reader: usize) -> usize {
    reader / SERVERS
}

impl World {
    /// Creates the users and Applications.
    pub(super) async fn create(store: Store, now: u64) -> Self {
        let (mut users, mut apps, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        for user in 0..USERS {
            users.push(create_user(&store, user, now).await);
        }
        let owner = create_user(&store, USERS, now).await;
        let now = UnixMillis::new(now);
        for number in 0..APPS {
            let id = AppId::from_bits(number as u128 + 1);
            let app = App {
                id,
                owner,
                name: format!("Application {number}"),
                previous_name: None,
                domain: DOMAIN.to_owned(),
                description: String::new(),
                state: ApplicationState::Active,
                domain_key: "key".to_owned(),
                created_at: now,
                last_looked_at: None,
                blocked_at: None,
            };
            assert!(store.insert_app(&app, 100).await.unwrap());
            let digest = [u8::try_from(number).unwrap(); 32];
            keys.push(store.insert_key(id, ("key", digest), now, 9).await.unwrap().unwrap().id);
            apps.push(id);
        }
        Self {
            users,
            erasures: vec![Erasure::None; USERS],
            erased: Vec::new(),
            apps,
            keys,
            switches: (0..APPS).map(|_| KnownSwitch::default()).collect(),
            devices: (0..USERS * DEVICES.len()).map(|_| SimulatedDevice::default()).collect(),
            grants: (0..USERS).map(|_| no_grants()).collect(),
            readers: (0..APPS * SERVERS).map(|_| Application::default()).collect(),
            refused: BTreeSet::new(),
            shown: vec![ShownViews::new(); APPS],
            newest: vec![BTreeMap::new(); APPS],
            off_versions: vec![BTreeSet::new(); APPS],
            notifications: BTreeMap::new(),
            seen_places: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            tasks: JoinSet::new(),
            last_id: 0,
            emptied_at: None,
            is_calm: true,
        }
    }

    /// Lets a user whose erasure is done come back as another one, with the same e-mail.
    pub(super) fn replace_user(&mut self, user: usize, id: UserId) {
        self.users[user] = id;
        self.erasures[user] = Erasure::None;
        self.grants[user] = no_grants();
        let devices = &mut self.devices[user * DEVICES.len()..(user + 1) * DEVICES.len()];
        devices.fill_with(SimulatedDevice::default);
    }

    /// Returns true unless the erasure of a user was asked for.
    pub(super) fn is_here(&self, user: usize) -> bool {
        self.erasures[user] == Erasure::None
    }

    /// Returns a number that was not used before.
    pub(super) fn next_id(&mut self) -> usize {
        self.last_id += 1;
        self.last_id
    }

    /// Starts a command.
    pub(super) fn start(
        &mut self,
        (server, begun): (usize, usize),
        command: Command,
        work: impl Future<Output = Answer> + Send + 'static,
    ) {
        let id = self.next_id();
        let work = Box::pin(work);
        let task = self.tasks.spawn(async move { (id, work.await) });
        self.in_flight.insert(id, InFlight { server, begun, command, task });
    }

    /// Returns the next command that was answered.
    pub(super) fn next_answer(&mut self) -> Option<(InFlight, Answer)> {
        loop {
            let Ok((id, answer)) = self.tasks.try_join_next()? else { continue };
            if let Some(in_flight) = self.in_flight.remove(&id) {
                return Some((in_flight, answer));
            }
        }
    }

    /// Ends the commands of a server that has crashed, and returns them.
    pub(super) fn abort(&mut self, server: usize) -> Vec<InFlight> {
        let aborted: Vec<InFlight> =
            self.in_flight.extract_if(.., |_, it| it.server == server).map(|it| it.1).collect();
        aborted.iter().for_each(|it| it.task.abort());
        aborted
    }

    /// Returns true if a grant of a user is being changed.
    pub(super) fn changes_grants(&self, user: usize) -> bool {
        let of_user =
            |it: &InFlight| matches!(it.command, Command::Change { user: of, .. } if of == user);
        self.in_flight.values().any(of_user)
    }

    /// Returns true if a device of a user sends a command that names Applications.
    pub(super) fn names_applications(&self, user: usize) -> bool {
        self.in_flight.values().any(|it| match &it.command {
            Command::Report { device, only: Some(_), .. }
            | Command::SetVisibility { device, .. } => user_of(*device) == user,
            Command::Report { .. }
            | Command::Open { .. }
            | Command::Close { .. }
            | Command::End { .. }
            | Command::Change { .. }
            | Command::Erase { .. }
            | Command::Switch { .. }
            | Command::Notify { .. }
            | Command::Settle
            | Command::Query { .. }
            | Command::Subscribe { .. } => false,
        })
    }

    /// Returns the Applications that have a grant of a user for certain.
    pub(super) fn certain_apps(&self, user: usize) -> Vec<usize> {
        let is_certain = |grant: &SimulatedGrant| grant.states.iter().all(Option::is_some);
        (0..APPS).filter(|app| is_certain(&self.grants[user][*app])).collect()
    }

    /// Returns a PUID that may be or have been the one of a user at an Application.
    pub(super) fn any_puid(&self, user: usize, app: usize) -> Option<Puid> {
        let grant = &self.grants[user][app];
        let known = grant.states.iter().flatten().map(|it| it.0).next();
        known.or(grant.hidden.map(|it| it.0))
    }

    /// Removes the sockets and readers of a server that has ended.
    pub(super) fn remove_server(&mut self, server: usize) {
        for device in &mut self.devices {
            let before = device.sockets.len();
            device.sockets.retain(|socket| socket.server != server);
            if device.sockets.len() != before {
                device.forget_targeted(false);
            }
        }
        for reader in &mut self.readers {
            if reader.socket.as_ref().is_some_and(|socket| socket.0 == server) {
                reader.close();
            }
        }
    }

    /// Notes that the live tables were emptied.
    pub(super) fn note_emptied(&mut self, step: usize) {
        self.emptied_at = Some(step);
        for device in self.devices.iter_mut().filter(|device| device.sockets.is_empty()) {
            device.forget_targeted(false);
            device.forget_visibility(false);
        }
        self.notifications.values_mut().for_each(|sent| sent.may_be_lost = true);
    }

    /// Returns the id of a new notification.
    pub(super) fn notification_id(&mut self, rng: &mut SeededRng) -> NotificationId {
        let id = self.next_id() as u128;
        NotificationId::from_bits((id << 64) | (rng.bits() >> 64))
    }

    /// Returns the waker of a socket that the server wants to close, of any device.
    pub(super) fn closing_devices(&self) -> Vec<usize> {
        let is_closing = |device: &SimulatedDevice| {
            device.sockets.iter().any(|socket| socket.waker.closing().is_some())
        };
        (0..self.devices.len()).filter(|device| is_closing(&self.devices[*device])).collect()
    }
}
