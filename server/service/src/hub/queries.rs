//! The questions to the hub, which change nothing but the times of checks.

use std::collections::HashMap;
use std::sync::Arc;

use presence_core::model::ApplicationState;
use presence_core::roster::DeviceInfo;
use presence_core::stream::Stream;
use presence_core::{Grant, UnixMillis, UserId};
use presence_protocol::{AppId, DeviceName, PresenceUpdate, Puid};
use presence_store::StoreError;

use super::answers::{HubFigures, NewReader, SeenByApplication, SharingServer, SubscribeError};
use super::topic::Topic;
use super::{Hub, Subscription};
use crate::socket_waker::SocketWaker;

impl Hub {
    /// Subscribes a socket of an API key to the stream of an Application, which has at most
    /// `limit` sockets.
    ///
    /// # Errors
    ///
    /// [`SubscribeError`].
    pub(crate) async fn subscribe(
        &self,
        (app, state): (AppId, ApplicationState),
        (key_id, waker): (i64, Arc<SocketWaker>),
        limit: usize,
        reader: NewReader,
    ) -> Result<Subscription, SubscribeError> {
        match self {
            Self::Local(hub) => {
                let topic = hub.topic(app, state);
                // The age limit of a cursor must not depend on when maintenance ran last.
                topic.prune(hub.now());
                Ok(topic.subscribe(key_id, waker, limit, |stream| reader.open(stream))?)
            }
            Self::Shared(hub) => hub.subscribe(app, (key_id, waker), limit, reader).await,
        }
    }

    /// Returns what an Application sees of users who have a grant.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub(crate) async fn query(
        &self,
        (app, state): (AppId, ApplicationState),
        users: &[Puid],
    ) -> Result<HashMap<Puid, PresenceUpdate>, StoreError> {
        match self {
            Self::Local(hub) => {
                let topic = hub.topic(app, state);
                topic.record_check_of(users.iter().copied());
                let latest =
                    |stream: &Stream| users.iter().map(|uid| (*uid, stream.latest(*uid))).collect();
                Ok(topic.read(latest))
            }
            Self::Shared(hub) => hub.query(app, users).await,
        }
    }

    /// Returns the users whom an Application sees as anything but offline, after one of them, in
    /// the order of PUIDs.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub(crate) async fn poll(
        &self,
        (app, state): (AppId, ApplicationState),
        after: Option<Puid>,
        limit: usize,
    ) -> Result<Vec<PresenceUpdate>, StoreError> {
        match self {
            Self::Local(hub) => {
                let topic = hub.topic(app, state);
                topic.record_check();
                Ok(topic.read(|stream| stream.visible_after(after).take(limit).cloned().collect()))
            }
            Self::Shared(hub) => hub.poll(app, after, limit).await,
        }
    }

    /// Returns what each Application sees of a user. `grants` have the last check of all users that
    /// the database holds.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub(crate) async fn seen_by(
        &self,
        grants: &[(Grant, Option<UnixMillis>)],
    ) -> Result<Vec<SeenByApplication>, StoreError> {
        match self {
            Self::Local(hub) => {
                Ok(grants.iter().map(|(grant, stored)| hub.seen_by(grant, *stored)).collect())
            }
            Self::Shared(hub) => hub.seen_by(grants).await,
        }
    }

    /// Returns the numbers of open sockets of Applications, at all servers.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub(crate) async fn sockets(
        &self,
        apps: &[AppId],
    ) -> Result<HashMap<AppId, usize>, StoreError> {
        match self {
            Self::Local(hub) => {
                let sockets = |app: &AppId| hub.find_topic(*app).map_or(0, |topic| topic.sockets());
                Ok(apps.iter().map(|app| (*app, sockets(app))).collect())
            }
            Self::Shared(hub) => hub.sockets(apps).await,
        }
    }

    /// Returns the devices of a user that are connected or in their grace time.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub(crate) async fn devices_of(&self, user: UserId) -> Result<Vec<DeviceInfo>, StoreError> {
        match self {
            Self::Local(hub) => Ok(hub.devices_of(user)),
            Self::Shared(hub) => hub.devices_of(user).await,
        }
    }

    /// Returns the devices of a user that are connected or in their grace time, each with the
    /// sessions that let it in.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub(crate) async fn devices_with_sessions(
        &self,
        user: UserId,
    ) -> Result<Vec<(DeviceName, Vec<[u8; 32]>)>, StoreError> {
        match self {
            Self::Local(hub) => Ok(hub.devices_with_sessions(user)),
            Self::Shared(hub) => hub.devices_with_sessions(user).await,
        }
    }

    /// Returns the digests of the sessions and proofs that hold connections of a user open.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub(crate) async fn sessions_of_connections(
        &self,
        user: UserId,
    ) -> Result<Vec<[u8; 32]>, StoreError> {
        match self {
            Self::Local(hub) => Ok(hub.sessions_of_connections(user)),
            Self::Shared(hub) => hub.sessions_of_connections(user).await,
        }
    }

    /// Returns true if a visibility list shows a device to no Application that does not see it
    /// already. A device that the hub does not know is seen by none.
    pub(crate) fn narrows_visibility(
        &self,
        user: UserId,
        device: &DeviceName,
        apps: &[AppId],
    ) -> bool {
        match self {
            Self::Local(hub) => hub.narrows_visibility(user, device, apps),
            Self::Shared(hub) => hub.narrows_visibility(user, device, apps),
        }
    }

    /// Returns true if devices of before may still be reconnecting.
    pub(crate) fn is_warming_up(&self) -> bool {
        match self {
            Self::Local(hub) => hub.is_warming_up(),
            Self::Shared(hub) => hub.is_warming_up(),
        }
    }

    /// Returns the number of open device connections of this server.
    pub(crate) fn connected_devices(&self) -> usize {
        match self {
            Self::Local(hub) => hub.connected_devices(),
            Self::Shared(hub) => hub.connected_devices(),
        }
    }

    /// Returns the streams that this server holds, with their sockets.
    pub(crate) fn topics(&self) -> Vec<(AppId, Arc<Topic>)> {
        match self {
            Self::Local(hub) => hub.topics(),
            Self::Shared(hub) => hub.topics(),
        }
    }

    /// Returns the servers that share presence, none if this one is alone.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub(crate) async fn servers(&self) -> Result<Vec<SharingServer>, StoreError> {
        match self {
            Self::Local(_) => Ok(Vec::new()),
            Self::Shared(hub) => hub.servers().await,
        }
    }

    /// Returns the name by which other servers know this one, empty if it is alone.
    pub(crate) fn server_name(&self) -> String {
        match self {
            Self::Local(_) => String::new(),
            Self::Shared(hub) => hub.server_name(),
        }
    }

    /// Returns the numbers of this server for the metrics.
    pub(crate) fn figures(&self) -> HubFigures {
        match self {
            Self::Local(hub) => hub.figures(),
            Self::Shared(hub) => hub.figures(),
        }
    }
}
