//! The hub of a server that is alone, in memory. Shards of users hold devices, and topics hold what
//! Applications see.
//!
//! Locks are short, and are taken in one order only: a shard, then a topic, then the queue of
//! releases or the timers of holds. Nothing waits while it holds one.

pub(crate) mod notifier;

mod pages;
mod queries;
mod visibility;

mod hold_timers;
mod page_versions;
mod release_queue;
mod shards;
mod topics;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use presence_core::model::ApplicationState;
use presence_core::roster::{
    ConnectionId, ConnectionNumber, Disconnect, NewConnection, Roster, StaleConnection,
    TooManyDevices, ViewChange,
};
use presence_core::shard::Shard;
use presence_core::{Clock, CredentialGeneration, GrantSet, Steady, UnixMillis, UserId, View};
use presence_protocol::app::Receipt;
use presence_protocol::{AppId, CloseCode, DeviceName, Puid};
use tokio::sync::Notify;

use super::limits::HubLimits;
use super::topic::Topic;
use crate::mailbox::{Admissions, Mailbox, PendingDelivery};
use crate::meters::HubMeters;
pub use page_versions::PageVersion;
use page_versions::PageVersions;
use shards::Shards;
use topics::Topics;

/// The hub of a server that is alone.
pub(crate) struct LocalHub {
    clock: Arc<dyn Clock>,
    limits: HubLimits,
    shards: Shards,
    topics: Topics,
    last_connection: AtomicU64,
    devices: AtomicUsize,
    warm_up_ends_at: Steady,
    warmed_up: AtomicBool,
    meters: HubMeters,
    pages: PageVersions,
}

/// The connection of a device. If it is dropped without a disconnect, it counts as lost.
pub(crate) struct LocalConnection {
    hub: Arc<LocalHub>,
    user: UserId,
    device: DeviceName,
    number: ConnectionNumber,
    disconnected: bool,
}

impl LocalHub {
    /// Creates the hub of a new epoch, which warms up until a monotonic time.
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        limits: HubLimits,
        epoch: u64,
        warm_up_ends_at: Steady,
    ) -> Self {
        Self {
            warmed_up: AtomicBool::new(warm_up_ends_at <= clock.steady()),
            topics: Topics::new(Arc::clone(&clock), epoch, &limits),
            clock,
            limits,
            shards: Shards::new(),
            last_connection: AtomicU64::new(0),
            devices: AtomicUsize::new(0),
            warm_up_ends_at,
            meters: HubMeters::default(),
            pages: PageVersions::new(),
        }
    }

    /// Connects a device. An open connection of the same device is closed as replaced.
    ///
    /// # Errors
    ///
    /// [`TooManyDevices`].
    pub(crate) fn connect(
        self: &Arc<Self>,
        user: UserId,
        device: DeviceName,
        mailbox: &Arc<Mailbox>,
    ) -> Result<LocalConnection, TooManyDevices> {
        let number = ConnectionNumber(self.last_connection.fetch_add(1, Ordering::Relaxed) + 1);
        let (now, limit) = (self.clock.now(), self.limits.sockets_per_user);
        let replaced = self.with_shard(user, |shard, _| {
            let id = ConnectionId { device: &device, number };
            let new = NewConnection { id, handle: Arc::clone(mailbox), now };
            let connected = shard.get_or_create(user).connect(new, limit);
            if let Ok(Some(last)) = &connected {
                mailbox.admit(&last.handle.admissions());
            }
            shard.remove_if_empty(user);
            connected
        })?;
        if let Some(last) = replaced.as_ref().filter(|last| last.is_open) {
            last.handle.close(CloseCode::Replaced);
        } else {
            self.devices.fetch_add(1, Ordering::Relaxed);
            self.meters.returns.increment(u64::from(replaced.is_some()));
        }
        Ok(LocalConnection { hub: Arc::clone(self), user, device, number, disconnected: false })
    }

    /// Replaces the grants of a user. `stored` are the states of their Applications in the store.
    /// A set that is not newer than the current one is ignored.
    pub(crate) fn set_grants(
        &self,
        user: UserId,
        set: GrantSet,
        stored: &[(AppId, ApplicationState)],
    ) {
        for (app, state) in stored {
            self.topics.get_or_create(*app, *state);
        }
        // A change of a grant concerns one Application, so its time links nothing.
        let publish = |changes| self.publish_with(changes, Topics::publish);
        self.shards.with(user, publish, |shard, changes| {
            if let Some(roster) = shard.get_mut(user) {
                roster.set_grants(set, changes);
            }
        });
    }

    /// Applies the data that a new connection of a user has loaded: the grants, the states of their
    /// Applications, and the grants with taken notifications.
    pub(crate) fn apply_load(
        &self,
        user: UserId,
        set: GrantSet,
        stored: &[(AppId, ApplicationState)],
        taken: &[(AppId, Puid)],
    ) {
        self.set_grants(user, set, stored);
        taken.iter().for_each(|(app, puid)| self.note_taken(*app, *puid));
    }

    /// Ends a grant for good: its PUID is never used again.
    pub(crate) fn revoke(&self, app: AppId, puid: Puid) {
        self.topics.revoke(app, puid);
    }

    /// Returns the topic of an Application. A new one starts in the state that the store holds.
    pub(crate) fn topic(&self, app: AppId, stored: ApplicationState) -> Arc<Topic> {
        self.topics.get_or_create(app, stored)
    }

    /// Returns the topic of an Application if there is one.
    pub(crate) fn find_topic(&self, app: AppId) -> Option<Arc<Topic>> {
        self.topics.find(app)
    }

    /// Returns all topics.
    pub(crate) fn topics(&self) -> Vec<(AppId, Arc<Topic>)> {
        self.topics.all()
    }

    /// Activates or deactivates an Application. The sockets of an inactive one are closed.
    pub(crate) fn set_active(&self, app: AppId, active: bool) {
        let topic = self.topics.set_active(app, active);
        self.note_application_change();
        if !active {
            topic.close(None, CloseCode::ApplicationClosed);
        }
    }

    /// Deactivates an Application whose domain has changed. What it has checked before does not
    /// count any more.
    pub(crate) fn change_domain(&self, app: AppId) {
        self.set_active(app, false);
        if let Some(topic) = self.topics.find(app) {
            topic.forget_checks();
        }
    }

    /// Delivers a notification to all connected devices of its user.
    pub(crate) fn deliver(&self, delivery: &PendingDelivery) {
        let user = delivery.notification.user;
        self.with_shard(user, |shard, _| {
            if let Some(roster) = shard.get_mut(user) {
                for mailbox in roster.handles() {
                    mailbox.post(delivery.clone());
                    self.meters.deliveries.increment(1);
                }
            }
        });
    }

    /// Appends a receipt to the stream of an Application. It is final: the store no
    /// longer has a row of the notification.
    pub(crate) fn append_receipt(&self, app: AppId, receipt: Receipt) {
        self.meters.count_receipts(receipt.state, 1);
        self.topics.append_receipt(app, receipt);
    }

    /// Notes that the store holds taken notifications of a grant. They are released when the
    /// Application sees the user.
    pub(crate) fn note_taken(&self, app: AppId, puid: Puid) {
        self.topics.note_taken(app, puid);
    }

    /// Ends the release of a grant, whose receipts were appended.
    pub(crate) fn finish_release(&self, app: AppId, puid: Puid) {
        self.topics.finish_release(app, puid);
    }

    /// Takes at most `limit` requested releases of grants that are visible now.
    pub(crate) fn take_releases(&self, limit: usize) -> Vec<(AppId, Puid)> {
        self.topics.take_releases(limit)
    }

    /// Requests releases again that could not be committed.
    pub(crate) fn releases_failed(&self, grants: Vec<(AppId, Puid)>) {
        self.topics.releases_failed(grants);
    }

    /// Returns the signal that there are releases to take.
    pub(crate) fn release_signal(&self) -> &Notify {
        self.topics.release_signal()
    }

    /// Ends a device for its user. Returns the proofs that let it in, or `None` if there is no
    /// device of that name.
    pub(crate) fn end_device(&self, user: UserId, device: &DeviceName) -> Option<Admissions> {
        let last = self.with_shard(user, |shard, changes| {
            let ended = shard.get_mut(user).and_then(|roster| roster.end_device(device, changes));
            shard.remove_if_empty(user);
            ended
        })?;
        if last.is_open {
            last.handle.close(CloseCode::EndedByUser);
            self.devices.fetch_sub(1, Ordering::Relaxed);
        }
        Some(last.handle.admissions())
    }

    /// Ends all devices of a user whose account is erased.
    pub(crate) fn end_all_devices(&self, user: UserId) {
        for info in self.devices_of(user) {
            self.end_device(user, &info.device);
        }
    }

    /// Closes the connections of a user that depend on the session with this digest.
    pub(crate) fn close_connections_of_session(&self, user: UserId, digest: &[u8; 32]) {
        self.close_connections(user, |mailbox| mailbox.depends_on_session(digest));
    }

    /// Closes the connections of a user that depend on a proof of an older generation, except one.
    pub(crate) fn close_outdated_connections(
        &self,
        user: UserId,
        generation: &CredentialGeneration,
        except: Option<&Mailbox>,
    ) {
        let is_excepted = |mailbox| except.is_some_and(|except| std::ptr::eq(except, mailbox));
        self.close_connections(user, |mailbox| {
            mailbox.has_older_generation_than(generation) && !is_excepted(mailbox)
        });
    }

    fn close_connections(&self, user: UserId, is_affected: impl Fn(&Mailbox) -> bool) {
        self.with_shard(user, |shard, _| {
            if let Some(roster) = shard.get_mut(user) {
                roster
                    .handles()
                    .filter(|mailbox| is_affected(mailbox))
                    .for_each(|mailbox| mailbox.close(CloseCode::NotAuthorised));
            }
        });
    }

    /// Ends the grace times and the holds of receipts that are over, and the warm-up.
    pub(crate) fn tick(&self) {
        let now = self.clock.steady();
        for delay in self.shards.tick(now, |changes| self.publish(changes)) {
            self.meters.record_time_to_offline(self.limits.grace + delay);
        }
        self.topics.publish_due();
        self.topics.end_holds(now);
        if now >= self.warm_up_ends_at && !self.warmed_up.swap(true, Ordering::AcqRel) {
            self.topics().iter().for_each(|(_, topic)| topic.wake_all());
        }
    }

    /// Trims the largest streams if all together retain too many bytes.
    pub(crate) fn trim_streams(&self) {
        self.topics.trim(self.limits.stream_bytes);
    }

    /// Records that the writer has committed a group of requests.
    pub(crate) fn group_committed(&self, requests: usize, time: Duration) {
        self.meters.record_commit(requests, time);
    }

    fn with_shard<T>(
        &self,
        user: UserId,
        work: impl FnOnce(&mut Shard<Arc<Mailbox>>, &mut Vec<ViewChange>) -> T,
    ) -> T {
        self.shards.with(user, |changes| self.publish(changes), work)
    }

    fn publish(&self, changes: Vec<ViewChange>) {
        self.publish_with(changes, Topics::publish_later);
    }

    fn publish_with(
        &self,
        changes: Vec<ViewChange>,
        publish: impl Fn(&Topics, ViewChange, UnixMillis),
    ) {
        let now = self.clock.now();
        self.meters.updates.increment(changes.len() as u64);
        changes.into_iter().for_each(|change| publish(&self.topics, change, now));
    }
}

impl LocalConnection {
    /// Returns the user of the device.
    pub(crate) fn user(&self) -> UserId {
        self.user
    }

    /// Sets the status of the device, for the Applications in `only` or for all that may see it. A
    /// replaced connection changes nothing.
    pub(crate) fn report(&self, view: View, only: Option<Vec<AppId>>) {
        self.with_roster(|roster, id, changes| roster.report(id, view, only, changes));
    }

    /// Lets only these Applications see the device from now on.
    pub(crate) fn set_visibility(&self, apps: Vec<AppId>) {
        self.with_roster(|roster, id, changes| roster.set_visibility(id, apps, changes));
    }

    /// Ends the connection, by a clean close or otherwise.
    pub(crate) fn disconnect(mut self, clean: bool) {
        self.disconnect_once(clean);
    }

    fn disconnect_once(&mut self, clean: bool) {
        if std::mem::replace(&mut self.disconnected, true) {
            return;
        }
        let until = self.hub.clock.steady() + self.hub.limits.grace;
        let how = if clean { Disconnect::Clean } else { Disconnect::Lost { until } };
        let (hub, user) = (Arc::clone(&self.hub), self.user);
        hub.with_shard(user, |shard, changes| {
            let Some(roster) = shard.get_mut(user) else { return };
            if roster.disconnect(self.id(), how, changes).is_ok() {
                hub.devices.fetch_sub(1, Ordering::Relaxed);
                shard.schedule(user, until);
            }
            shard.remove_if_empty(user);
        });
    }

    fn id(&self) -> ConnectionId<'_> {
        ConnectionId { device: &self.device, number: self.number }
    }

    fn with_roster(
        &self,
        work: impl FnOnce(
            &mut Roster<Arc<Mailbox>>,
            ConnectionId<'_>,
            &mut Vec<ViewChange>,
        ) -> Result<(), StaleConnection>,
    ) {
        self.hub.with_shard(self.user, |shard, changes| {
            if let Some(roster) = shard.get_mut(self.user)
                && work(roster, self.id(), changes).is_err()
            {
                tracing::debug!("a replaced connection sent a frame");
            }
        });
    }
}

impl Drop for LocalConnection {
    fn drop(&mut self) {
        self.disconnect_once(false);
    }
}

#[cfg(test)]
mod tests;
