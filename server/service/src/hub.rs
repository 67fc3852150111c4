//! The hub: the only component that changes shared presence.
//!
//! Callers know one hub. Below it are two: [`local`], in the memory of a server that is alone, and
//! [`shared`], in the database of servers that share presence. The rules are those of
//! `presence_core` in both.
//!
//! The modules in reading order, each of which uses only those below it.

mod device_connection;
mod queries;

pub(crate) mod local;
pub(crate) mod shared;

mod answers;
mod topic;

mod checks;
mod limits;
mod schedule;

use std::sync::Arc;

use presence_core::{CredentialGeneration, Grant, UnixMillis, UserId};
use presence_protocol::{AppId, CloseCode, DeviceName};
use presence_store::{LoadedUser, StoreError};

pub use self::answers::SharingServer;
pub(crate) use self::answers::{
    ConnectError, HubFigures, NewReader, SeenByApplication, SubscribeError,
};
pub use self::device_connection::DeviceConnection;
pub(crate) use self::device_connection::PresenceChange;
pub use self::limits::HubLimits;
pub use self::local::PageVersion;
pub use self::topic::{Subscription, TooManySockets};
use crate::mailbox::{Admissions, Mailbox};
use local::LocalHub;
use shared::SharedHub;

/// The hub.
pub(crate) enum Hub {
    /// The hub of a server that is alone.
    Local(Arc<LocalHub>),
    /// The hub of servers that share presence.
    Shared(Arc<SharedHub>),
}

impl Hub {
    /// Connects a device. An open connection of the same device is closed as replaced.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    pub(crate) async fn connect(
        &self,
        user: UserId,
        device: DeviceName,
        mailbox: &Arc<Mailbox>,
    ) -> Result<DeviceConnection, ConnectError> {
        Ok(match self {
            Self::Local(hub) => hub.connect(user, device, mailbox)?.into(),
            Self::Shared(hub) => hub.connect(user, device, mailbox).await?.into(),
        })
    }

    /// Applies what a new connection has loaded of its user. `pending` are the `seq` of all pending
    /// notifications, in ascending order.
    pub(crate) fn apply_load(
        &self,
        user: UserId,
        loaded: &mut LoadedUser,
        pending: Vec<i64>,
        mailbox: &Mailbox,
    ) {
        match self {
            Self::Local(hub) => {
                let grants = std::mem::take(&mut loaded.grants);
                hub.apply_load(user, grants, &loaded.apps, &loaded.taken);
                mailbox.remove_loaded(&pending, loaded.up_to);
            }
            // The connection has its grants, and the database releases what was taken.
            Self::Shared(hub) => hub.note_own_load(user, mailbox, pending),
        }
    }

    /// Lets the hub know that a connection was renewed with a further proof.
    pub(crate) async fn note_renewal(
        &self,
        user: UserId,
        mailbox: &Arc<Mailbox>,
    ) -> Result<(), StoreError> {
        match self {
            Self::Local(_) => Ok(()),
            Self::Shared(hub) => hub.note_renewal(user, mailbox).await,
        }
    }

    /// Activates or deactivates an Application, as the database has it. The sockets of an inactive
    /// one are closed.
    pub(crate) fn set_active(&self, app: AppId, active: bool) {
        match self {
            Self::Local(hub) => hub.set_active(app, active),
            Self::Shared(hub) => hub.set_active(app, active),
        }
    }

    /// Ends a device for its user. Returns the proofs that let it in, or `None` if there is no
    /// device of that name.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub(crate) async fn end_device(
        &self,
        user: UserId,
        device: &DeviceName,
    ) -> Result<Option<Admissions>, StoreError> {
        match self {
            Self::Local(hub) => Ok(hub.end_device(user, device)),
            Self::Shared(hub) => hub.end_device(user, device).await,
        }
    }

    /// Closes the connections of a user that depend on sessions that have ended, at all servers.
    pub(crate) async fn end_sessions(&self, user: UserId, digests: &[[u8; 32]]) {
        match self {
            Self::Local(hub) => {
                digests.iter().for_each(|digest| hub.close_connections_of_session(user, digest));
                hub.note_user_change(user);
            }
            Self::Shared(hub) => hub.end_sessions(user, digests).await,
        }
    }

    /// Closes the connections of a user that depend on a proof of an older generation, except one,
    /// at all servers.
    pub(crate) async fn close_outdated_connections(
        &self,
        user: UserId,
        generation: &CredentialGeneration,
        except: Option<&Mailbox>,
    ) {
        match self {
            Self::Local(hub) => hub.close_outdated_connections(user, generation, except),
            Self::Shared(hub) => hub.close_outdated_connections(user, generation, except).await,
        }
    }

    /// Looks again at the connections of a user to this server, after a renewal that failed: its
    /// generation may be recorded.
    pub(crate) async fn look_again(&self, user: UserId) {
        if let Self::Shared(hub) = self {
            hub.look_again(user).await;
        }
    }

    /// Closes the sockets of an API key that was deleted, at all servers.
    pub(crate) async fn close_sockets_of_key(&self, app: AppId, key: i64) {
        match self {
            Self::Local(hub) => {
                if let Some(topic) = hub.find_topic(app) {
                    topic.close(Some(key), CloseCode::ApplicationClosed);
                }
            }
            Self::Shared(hub) => hub.close_sockets_of_key(app, key).await,
        }
    }

    /// Returns the version of what a user sees now, `None` if it is not known.
    pub(crate) fn page_version(&self, user: UserId) -> Option<PageVersion> {
        match self {
            Self::Local(hub) => hub.page_version(user),
            // Other servers change it too.
            Self::Shared(_) => None,
        }
    }

    /// Records what the page of a user has shown: the grants, and the end of the session that
    /// expires first.
    pub(crate) fn note_page(
        &self,
        user: UserId,
        grants: Vec<Grant>,
        expires_at: Option<UnixMillis>,
    ) {
        if let Self::Local(hub) = self {
            hub.note_page(user, grants, expires_at);
        }
    }

    /// Records that rows of a user have changed which the page of the user shows.
    pub(crate) fn note_user_change(&self, user: UserId) {
        if let Self::Local(hub) = self {
            hub.note_user_change(user);
        }
    }

    /// Records that an Application has changed.
    pub(crate) fn note_application_change(&self) {
        if let Self::Local(hub) = self {
            hub.note_application_change();
        }
    }
}
