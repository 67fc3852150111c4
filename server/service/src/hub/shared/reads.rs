//! The questions of callers, which the database answers.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use presence_core::roster::DeviceInfo;
use presence_core::stream::replica::SharedRow;
use presence_core::{Grant, UnixMillis, UserId};
use presence_protocol::{AppId, DeviceName, PresenceUpdate, Puid, Status};
use presence_store::{Live, SharedRoster, StoreError};

use super::SharedHub;
use crate::hub::answers::{NewReader, SeenByApplication, SubscribeError};
use crate::hub::topic::{Subscription, TooManySockets, Topic};
use crate::socket_waker::SocketWaker;

impl SharedHub {
    /// Subscribes a socket to the stream of an Application.
    pub(in crate::hub) async fn subscribe(
        self: &Arc<Self>,
        app: AppId,
        (key_id, waker): (i64, Arc<SocketWaker>),
        limit: usize,
        reader: NewReader,
    ) -> Result<Subscription, SubscribeError> {
        let (topic, subscription) = loop {
            let topic = self.followed.follow(app).await?;
            let topic = topic.ok_or(StoreError::CorruptRow("apps"))?;
            if let NewReader::Paged { cursor: Some(cursor), .. } = &reader {
                self.followed.reach_back(app, &topic, cursor).await?;
            }
            topic.prune(self.time.now());
            let guard = SocketCount { hub: Arc::clone(self), app, topic: Arc::clone(&topic) };
            let reader = reader.clone();
            let open = |stream: &_| reader.open(stream);
            let subscription = topic.subscribe(key_id, Arc::clone(&waker), limit, open)?;
            // A copy that was given up meanwhile, since another epoch has begun, changes no more.
            if self.followed.follows(app, &topic) {
                break (topic, subscription.with_guard(guard));
            }
        };
        // The number is written before all are counted, so that of two sockets at two servers
        // at least one counts the other.
        self.live.set_sockets(self.identity().node, app, topic.sockets()).await?;
        let counts = self.live.sockets(&[app]).await?;
        if counts.get(&app).is_some_and(|count| *count > limit) {
            return Err(TooManySockets.into());
        }
        Ok(subscription)
    }

    /// Returns what an Application sees of these users.
    pub(in crate::hub) async fn query(
        &self,
        app: AppId,
        users: &[Puid],
    ) -> Result<HashMap<Puid, PresenceUpdate>, StoreError> {
        self.checks.note_users(app, users, self.clock.now());
        let Some(start) = self.live.stream_start(app).await? else { return Ok(HashMap::new()) };
        let rows = self.live.rows_of(app, users).await?;
        let mut rows: HashMap<Puid, SharedRow> =
            rows.into_iter().map(|row| (row.puid, row)).collect();
        let update = |uid: &Puid| match rows.remove(uid) {
            Some(row) => start.shown(row),
            None => start.shown_without_row(*uid),
        };
        let mut updates = HashMap::with_capacity(users.len());
        updates.extend(users.iter().copied().zip(users.iter().map(update)));
        Ok(updates)
    }

    /// Returns the users whom an Application sees as anything but offline, after one of them.
    pub(in crate::hub) async fn poll(
        &self,
        app: AppId,
        after: Option<Puid>,
        limit: usize,
    ) -> Result<Vec<PresenceUpdate>, StoreError> {
        self.checks.note_all(app, self.clock.now());
        let start = self.live.stream_start(app).await?;
        let Some(start) = start.filter(|start| start.active) else { return Ok(Vec::new()) };
        let rows = self.live.visible_rows(app, after, limit).await?;
        Ok(rows.into_iter().map(|row| start.shown(row)).collect())
    }

    /// Returns what each Application sees of a user.
    pub(in crate::hub) async fn seen_by(
        &self,
        grants: &[(Grant, Option<UnixMillis>)],
    ) -> Result<Vec<SeenByApplication>, StoreError> {
        let pairs: Vec<(AppId, Puid)> =
            grants.iter().map(|(grant, _)| (grant.app, grant.puid)).collect();
        // The checks that this server has answered are written before they are read.
        self.checks.write(&self.live).await?;
        let statuses = self.live.statuses(&pairs).await?;
        let checks = self.live.checks(&pairs).await?;
        let now = self.clock.now();
        let seen = |(grant, _): &(Grant, Option<UnixMillis>)| {
            let known = checks.get(&grant.puid).copied().unwrap_or_default();
            SeenByApplication {
                last_check: known.last_if(grant.is_suspended(), now),
                is_checking: known.has_socket && !grant.is_suspended(),
                status: statuses.get(&grant.puid).copied().unwrap_or(Status::Offline),
            }
        };
        Ok(grants.iter().map(seen).collect())
    }

    /// Returns the streams that sockets of this server read.
    pub(in crate::hub) fn topics(&self) -> Vec<(AppId, Arc<Topic>)> {
        self.followed.topics()
    }

    /// Returns the numbers of open sockets of Applications, at all servers.
    pub(in crate::hub) async fn sockets(
        &self,
        apps: &[AppId],
    ) -> Result<HashMap<AppId, usize>, StoreError> {
        self.live.sockets(apps).await
    }

    /// Returns the devices of a user that are connected or in their grace time.
    pub(in crate::hub) async fn devices_of(
        &self,
        user: UserId,
    ) -> Result<Vec<DeviceInfo>, StoreError> {
        Ok(roster(&self.live, user).await?.devices())
    }

    /// Returns the devices of a user with the sessions that let each in.
    pub(in crate::hub) async fn devices_with_sessions(
        &self,
        user: UserId,
    ) -> Result<Vec<(DeviceName, Vec<[u8; 32]>)>, StoreError> {
        let roster = roster(&self.live, user).await?;
        let devices = roster.last_handles();
        Ok(devices.map(|(name, handle)| (name.clone(), handle.admissions.clone())).collect())
    }

    /// Returns the digests of the proofs that hold connections of a user open.
    pub(in crate::hub) async fn sessions_of_connections(
        &self,
        user: UserId,
    ) -> Result<Vec<[u8; 32]>, StoreError> {
        let roster = roster(&self.live, user).await?;
        let proofs: HashSet<[u8; 32]> =
            roster.handles().flat_map(|handle| handle.proofs.iter().copied()).collect();
        Ok(proofs.into_iter().collect())
    }

    /// Returns true if a visibility list shows a device to no Application that does not see it
    /// already.
    pub(in crate::hub) fn narrows_visibility(
        &self,
        user: UserId,
        device: &DeviceName,
        apps: &[AppId],
    ) -> bool {
        self.registry.narrows_visibility(user, device, apps)
    }
}

async fn roster(live: &Live, user: UserId) -> Result<SharedRoster, StoreError> {
    let mut rosters = live.rosters(&[user]).await?;
    Ok(rosters.remove(&user).map(|(_, roster)| roster).unwrap_or_default())
}

/// Lets the other servers know when a socket has ended.
struct SocketCount {
    hub: Arc<SharedHub>,
    app: AppId,
    topic: Arc<Topic>,
}

impl Drop for SocketCount {
    fn drop(&mut self) {
        self.hub.note_sockets(self.app, &self.topic);
    }
}
