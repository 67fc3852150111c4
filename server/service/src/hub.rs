//! The hub: the only door to shared presence. User shards hold devices, rooms hold what Applications were told.
//!
//! Locks are short and nest in one order only: a shard, then a room. Nothing here waits.

mod topic;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use presence_core::roster::{
    DeviceInfo, Disconnect, NewConnection, Roster, StaleConnection, View, ViewChange,
};
use presence_core::shard::Shard;
use presence_core::stream::{Retention, Stream};
use presence_core::{Clock, CredentialGeneration, GrantSet, Steady, UserId};
use presence_protocol::app::Receipt;
use presence_protocol::{AppId, CloseCode, DeviceName, Puid};

use crate::mailbox::{Mailbox, PendingDelivery};
use crate::meters::{HubMeters, TopicMeters};
pub use topic::{Subscription, TooManySockets, Topic};

/// More shards than cores, so that two users seldom wait for each other.
const SHARDS: u8 = 64;

/// What the hub is told of the limits.
#[derive(Debug, Clone, Copy)]
pub struct HubLimits {
    /// How long a lost device keeps its presence.
    pub grace: Duration,
    /// The most connected devices of a user.
    pub sockets_per_user: usize,
    /// How much of the past an Application can resume.
    pub kept: Retention,
}

/// The hub.
pub struct Hub {
    clock: Arc<dyn Clock>,
    limits: HubLimits,
    epoch: u64,
    shards: Vec<Mutex<Shard<Arc<Mailbox>>>>,
    rooms: RwLock<HashMap<AppId, Arc<Topic>>>,
    generations: AtomicU64,
    devices: AtomicUsize,
    warm_at: Steady,
    warmed_up: AtomicBool,
    releases: Mutex<Vec<(AppId, Puid)>>,
    meters: HubMeters,
    topic_meters: TopicMeters,
}

/// A device's seat. Dropping it without leaving counts as a lost connection.
pub struct DeviceConnection {
    hub: Arc<Hub>,
    user: UserId,
    device: DeviceName,
    generation: u64,
    left: bool,
}

impl Hub {
    /// A hub of a new epoch, which warms up until a monotonic time.
    pub fn new(clock: Arc<dyn Clock>, limits: HubLimits, epoch: u64, warm_at: Steady) -> Self {
        Self {
            warmed_up: AtomicBool::new(warm_at <= clock.steady()),
            clock,
            limits,
            epoch,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            rooms: RwLock::default(),
            generations: AtomicU64::new(0),
            devices: AtomicUsize::new(0),
            warm_at,
            releases: Mutex::default(),
            meters: HubMeters::default(),
            topic_meters: TopicMeters::default(),
        }
    }

    /// Gives a device its seat; a connection that had it is closed as replaced.
    ///
    /// # Errors
    ///
    /// [`presence_core::roster::TooManyDevices`] where too many devices of the user are connected.
    pub fn arrive(
        self: &Arc<Self>,
        user: UserId,
        device: DeviceName,
        mailbox: Arc<Mailbox>,
    ) -> Result<DeviceConnection, presence_core::roster::TooManyDevices> {
        let generation = self.generations.fetch_add(1, Ordering::Relaxed) + 1;
        let (now, most) = (self.clock.now(), self.limits.sockets_per_user);
        let replaced = self.with_shard(user, |shard, _| {
            let arrival = NewConnection { name: &device, handle: mailbox, generation, now };
            let arrived = shard.enter(user).arrive(arrival, most);
            shard.tidy(user);
            arrived
        })?;
        match replaced {
            Some(older) => older.close(CloseCode::Replaced),
            None => drop(self.devices.fetch_add(1, Ordering::Relaxed)),
        }
        Ok(DeviceConnection { hub: Arc::clone(self), user, device, generation, left: false })
    }

    /// The grants of a user as they are at a revision.
    pub fn set_grants(&self, user: UserId, set: GrantSet) {
        self.with_shard(user, |shard, told| {
            if let Some(roster) = shard.find(user) {
                roster.set_grants(set, told);
            }
        });
    }

    /// The user revoked a grant: the PUID is dead.
    pub fn revoke(&self, app: AppId, puid: Puid) {
        let now = self.clock.now();
        if let Some(room) = self.room(app) {
            room.change(|stream| {
                stream.revoke(puid, now);
                true
            });
        }
    }

    /// Makes sure of an Application's room. A room that is there keeps its own state.
    pub fn ensure_topic(&self, app: AppId, active: bool) -> Arc<Topic> {
        if let Some(room) = self.room(app) {
            return room;
        }
        let mut rooms = self.rooms.write().unwrap_or_else(PoisonError::into_inner);
        let room = rooms.entry(app).or_insert_with(|| {
            let stream = Stream::new(rand::random(), self.epoch, active, self.limits.kept);
            Arc::new(Topic::new(stream, self.topic_meters.clone()))
        });
        Arc::clone(room)
    }

    /// An Application was activated or deactivated; deactivated, its sockets are closed.
    pub fn switch(&self, app: AppId, active: bool) {
        let now = self.clock.now();
        let room = self.ensure_topic(app, active);
        room.change(|stream| {
            stream.set_active(active, now);
            true
        });
        if !active {
            room.close(None, CloseCode::ApplicationClosed);
        }
    }

    /// The room of an Application, where it has one.
    pub fn room(&self, app: AppId) -> Option<Arc<Topic>> {
        self.rooms.read().unwrap_or_else(PoisonError::into_inner).get(&app).map(Arc::clone)
    }

    /// Hands a notification to all connected devices of its user.
    pub fn deliver(&self, posted: &PendingDelivery) {
        let user = posted.notification.user;
        self.with_shard(user, |shard, _| {
            if let Some(roster) = shard.find(user) {
                for mailbox in roster.connected() {
                    mailbox.post(posted.clone());
                    self.meters.deliveries.increment(1);
                }
            }
        });
    }

    /// The last word on a notification.
    pub fn receipt(&self, app: AppId, receipt: Receipt) {
        self.meters.count_receipt(receipt.state);
        let now = self.clock.now();
        if let Some(room) = self.room(app) {
            room.change(|stream| stream.receipt(receipt, now));
        }
    }

    /// Whether an Application sees a user as anything but offline.
    pub fn shows(&self, app: AppId, puid: Puid) -> bool {
        self.room(app).is_some_and(|room| room.read(|stream| stream.shows(puid)))
    }

    /// Receipts of this user are withheld from an Application until it sees the user again.
    pub fn withhold(&self, app: AppId, puid: Puid) {
        let room = self.ensure_topic(app, false);
        if room.withhold(puid) {
            self.releases().push((app, puid));
        }
    }

    /// Whose withheld receipts are due since the last call.
    pub fn take_releases(&self) -> Vec<(AppId, Puid)> {
        std::mem::take(&mut self.releases())
    }

    /// Whether a device of the user is connected.
    pub fn is_connected(&self, user: UserId) -> bool {
        self.with_shard(user, |shard, _| {
            shard.find(user).is_some_and(|roster| roster.connected().next().is_some())
        })
    }

    /// The devices of a user that are connected or in their grace time.
    pub fn devices_of(&self, user: UserId) -> Vec<DeviceInfo> {
        self.with_shard(user, |shard, _| {
            shard.find(user).map(|roster| roster.devices()).unwrap_or_default()
        })
    }

    /// The user ends a device; false where there is none of that name.
    pub fn end_device(&self, user: UserId, device: &DeviceName, code: CloseCode) -> bool {
        let ended = self.with_shard(user, |shard, told| {
            let ended = shard.find(user).and_then(|roster| roster.end(device, told));
            shard.tidy(user);
            ended
        });
        let Some(seat) = ended else { return false };
        if let Some(mailbox) = seat {
            mailbox.close(code);
            self.devices.fetch_sub(1, Ordering::Relaxed);
        }
        true
    }

    /// Ends all devices of a user.
    pub fn end_all_devices(&self, user: UserId, code: CloseCode) {
        for info in self.devices_of(user) {
            self.end_device(user, &info.device, code);
        }
    }

    /// Closes the connections of a user that are held open by this proof.
    pub fn end_session(&self, user: UserId, digest: &[u8; 32]) {
        self.end_where(user, |mailbox| mailbox.is_of_session(digest));
    }

    /// Closes the connections of a user that are held open by a proof of an older generation, but for one.
    pub fn end_older(
        &self,
        user: UserId,
        generation: &CredentialGeneration,
        spared: Option<&Mailbox>,
    ) {
        let is_spared = |mailbox| spared.is_some_and(|spared| std::ptr::eq(spared, mailbox));
        self.end_where(user, |mailbox| mailbox.is_older_than(generation) && !is_spared(mailbox));
    }

    fn end_where(&self, user: UserId, is_over: impl Fn(&Mailbox) -> bool) {
        self.with_shard(user, |shard, _| {
            if let Some(roster) = shard.find(user) {
                roster
                    .connected()
                    .filter(|mailbox| is_over(mailbox))
                    .for_each(|mailbox| mailbox.close(CloseCode::NotAuthorised));
            }
        });
    }

    /// Ends grace times that are over, and the warming up.
    pub fn tick(&self) {
        let now = self.clock.steady();
        for shard in &self.shards {
            let mut told = Vec::new();
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for late in shard.tick(now, &mut told) {
                self.meters.record_time_to_offline(self.limits.grace + late);
            }
            self.tell(told);
        }
        if now >= self.warm_at && !self.warmed_up.swap(true, Ordering::AcqRel) {
            self.rooms().iter().for_each(|(_, room)| room.wake_all());
        }
    }

    /// Whether devices of an earlier run may still be on their way back.
    pub fn is_warming_up(&self) -> bool {
        !self.warmed_up.load(Ordering::Acquire)
    }

    /// How many device connections are open.
    pub fn connected_devices(&self) -> usize {
        self.devices.load(Ordering::Relaxed)
    }

    /// How many users have a device here, or had one just now; and how many notifications wait in the mailboxes.
    pub fn users_and_mailboxes(&self) -> (usize, usize) {
        let (mut users, mut waiting) = (0, 0);
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for roster in shard.rosters() {
                users += 1;
                waiting += roster.connected().map(|mailbox| mailbox.depth()).sum::<usize>();
            }
        }
        (users, waiting)
    }

    /// The writer committed so many requests together.
    pub(crate) fn committed(&self, requests: usize, took: Duration) {
        self.meters.record_commit(requests, took);
    }

    /// All rooms.
    pub fn rooms(&self) -> Vec<(AppId, Arc<Topic>)> {
        let rooms = self.rooms.read().unwrap_or_else(PoisonError::into_inner);
        rooms.iter().map(|(app, room)| (*app, Arc::clone(room))).collect()
    }

    /// Works on the shard of a user; what Applications are to be told is told before the shard is let go, so that two changes of
    /// a user reach them in order.
    fn with_shard<T>(
        &self,
        user: UserId,
        work: impl FnOnce(&mut Shard<Arc<Mailbox>>, &mut Vec<ViewChange>) -> T,
    ) -> T {
        let place = usize::try_from(user.0.rem_euclid(i64::from(SHARDS))).unwrap_or(0);
        let mut told = Vec::new();
        #[expect(clippy::indexing_slicing, reason = "the place is below the number of shards")]
        let mut shard = self.shards[place].lock().unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut shard, &mut told);
        self.tell(told);
        result
    }

    fn tell(&self, told: Vec<ViewChange>) {
        let now = self.clock.now();
        self.meters.updates.increment(told.len() as u64);
        for ViewChange { app, puid, view } in told {
            if self.ensure_topic(app, false).tell(puid, view, now) {
                self.releases().push((app, puid));
            }
        }
    }

    fn releases(&self) -> MutexGuard<'_, Vec<(AppId, Puid)>> {
        self.releases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DeviceConnection {
    /// Whose device it is.
    pub fn user(&self) -> UserId {
        self.user
    }

    /// The device reports a status. Says nothing where a newer connection has the seat.
    pub fn report(&self, view: View, only: Option<Vec<AppId>>) {
        self.with_roster(|roster, seat, told| roster.report(seat, view, only, told));
    }

    /// From now on only these Applications see the device.
    pub fn show_only_to(&self, apps: Vec<AppId>) {
        self.with_roster(|roster, seat, told| roster.show_only_to(seat, apps, told));
    }

    /// The connection ended, by a clean close or otherwise.
    pub fn leave(mut self, clean: bool) {
        self.leave_once(clean);
    }

    fn leave_once(&mut self, clean: bool) {
        if std::mem::replace(&mut self.left, true) {
            return;
        }
        let until = self.hub.clock.steady() + self.hub.limits.grace;
        let ending = if clean { Disconnect::Clean } else { Disconnect::Lost { until } };
        let (hub, user) = (Arc::clone(&self.hub), self.user);
        hub.with_shard(user, |shard, told| {
            let Some(roster) = shard.find(user) else { return };
            if roster.leave((&self.device, self.generation), ending, told).is_ok() {
                hub.devices.fetch_sub(1, Ordering::Relaxed);
                shard.look_again(user, until);
            }
            shard.tidy(user);
        });
    }

    fn with_roster(
        &self,
        work: impl FnOnce(
            &mut Roster<Arc<Mailbox>>,
            (&DeviceName, u64),
            &mut Vec<ViewChange>,
        ) -> Result<(), StaleConnection>,
    ) {
        self.hub.with_shard(self.user, |shard, told| {
            if let Some(roster) = shard.find(self.user)
                && work(roster, (&self.device, self.generation), told).is_err()
            {
                tracing::debug!("a replaced connection spoke");
            }
        });
    }
}

impl Drop for DeviceConnection {
    fn drop(&mut self) {
        self.leave_once(false);
    }
}

#[cfg(test)]
mod tests;
