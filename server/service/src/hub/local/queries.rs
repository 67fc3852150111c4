//! The queries of the hub, which change nothing.

use std::sync::atomic::Ordering;

use presence_core::roster::DeviceInfo;
use presence_core::stream::Stream;
use presence_core::{Grant, UnixMillis, UserId};
use presence_protocol::{AppId, DeviceName, Puid};

use super::super::answers::{HubFigures, SeenByApplication};
use super::LocalHub;

impl LocalHub {
    /// Returns the wall-clock time.
    pub(in crate::hub) fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// Returns what an Application sees of a user. `stored` is the last check of all users before
    /// the start of the server.
    pub(in crate::hub) fn seen_by(
        &self,
        grant: &Grant,
        stored: Option<UnixMillis>,
    ) -> SeenByApplication {
        let Some(topic) = self.find_topic(grant.app) else {
            let last_check = stored.filter(|_| !grant.is_suspended());
            return SeenByApplication { last_check, ..SeenByApplication::default() };
        };
        SeenByApplication {
            last_check: topic.last_check_of(grant, stored),
            is_checking: topic.is_checking(grant),
            status: topic.read(|stream| stream.latest(grant.puid)).status,
        }
    }

    /// Returns the numbers for the metrics.
    pub(in crate::hub) fn figures(&self) -> HubFigures {
        let topics = self.topics();
        let (users, mailboxes) = self.users_and_mailboxes();
        HubFigures {
            app_sockets: topics.iter().map(|(_, topic)| topic.sockets()).sum(),
            users,
            mailboxes,
            streams: topics.iter().map(|(_, topic)| topic.read(Stream::log_len)).sum(),
        }
    }

    /// Returns true if an Application sees a user as anything but offline.
    pub(crate) fn is_visible(&self, app: AppId, puid: Puid) -> bool {
        self.find_topic(app).is_some_and(|topic| topic.read(|stream| stream.is_visible(puid)))
    }

    /// Returns the grants of a user of which a settlement gets its receipt at once.
    pub(crate) fn grants_with_immediate_receipts(&self, user: UserId) -> Vec<Puid> {
        self.with_shard(user, |shard, _| {
            let Some(roster) = shard.get_mut(user) else { return Vec::new() };
            let grants = roster.visible_grants().map(|grant| (grant.app, grant.puid));
            self.topics.with_immediate_receipts(grants)
        })
    }

    /// Returns true if a device of the user is connected.
    pub(crate) fn is_connected(&self, user: UserId) -> bool {
        self.with_shard(user, |shard, _| {
            shard.get_mut(user).is_some_and(|roster| roster.handles().next().is_some())
        })
    }

    /// Returns the devices of a user that are connected or in their grace time.
    pub(crate) fn devices_of(&self, user: UserId) -> Vec<DeviceInfo> {
        self.with_shard(user, |shard, _| {
            shard.get_mut(user).map(|roster| roster.devices()).unwrap_or_default()
        })
    }

    /// Returns the devices of a user that are connected or in their grace time, each with the
    /// sessions that hold it open.
    pub(crate) fn devices_with_sessions(&self, user: UserId) -> Vec<(DeviceName, Vec<[u8; 32]>)> {
        self.with_shard(user, |shard, _| {
            let Some(roster) = shard.get_mut(user) else { return Vec::new() };
            let devices = roster.last_handles();
            devices.map(|(name, mailbox)| (name.clone(), mailbox.admissions().0)).collect()
        })
    }

    /// Returns the digests of the sessions and proofs that hold connections of a user open.
    pub(crate) fn sessions_of_connections(&self, user: UserId) -> Vec<[u8; 32]> {
        self.with_shard(user, |shard, _| {
            let Some(roster) = shard.get_mut(user) else { return Vec::new() };
            roster.handles().flat_map(|mailbox| mailbox.sessions()).collect()
        })
    }

    /// Returns true if devices of an earlier run may still be reconnecting.
    pub(crate) fn is_warming_up(&self) -> bool {
        !self.warmed_up.load(Ordering::Acquire)
    }

    /// Returns the number of open device connections.
    pub(crate) fn connected_devices(&self) -> usize {
        self.devices.load(Ordering::Relaxed)
    }

    /// Returns the number of users with a device that is connected or remembered, and the number
    /// of notifications in mailboxes.
    pub(crate) fn users_and_mailboxes(&self) -> (usize, usize) {
        self.shards.users_and_mailboxes()
    }
}
