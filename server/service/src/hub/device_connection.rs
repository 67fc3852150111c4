//! The connection of a device.

use futures_util::future::BoxFuture;
use presence_core::{UserId, View};
use presence_protocol::{ApiError, AppId};

use super::local::LocalConnection;
use super::shared::SharedConnection;

/// The connection of a device. If it is dropped without a disconnect, it counts as lost.
pub struct DeviceConnection(Kind);

enum Kind {
    /// A connection to a server that is alone.
    Local(LocalConnection),
    /// A connection to one of several servers.
    Shared(SharedConnection),
}

impl From<LocalConnection> for DeviceConnection {
    fn from(connection: LocalConnection) -> Self {
        Self(Kind::Local(connection))
    }
}

impl From<SharedConnection> for DeviceConnection {
    fn from(connection: SharedConnection) -> Self {
        Self(Kind::Shared(connection))
    }
}

/// A change of presence.
#[must_use = "a change may have to be waited for"]
pub(crate) enum PresenceChange {
    /// It is done.
    Done,
    /// It is done once this is.
    Pending(BoxFuture<'static, Result<(), ApiError>>),
}

impl DeviceConnection {
    /// Returns the user of the device.
    pub fn user(&self) -> UserId {
        match &self.0 {
            Kind::Local(connection) => connection.user(),
            Kind::Shared(connection) => connection.user(),
        }
    }

    /// Sets the status of the device, for the Applications in `only` or for all that may see it. A
    /// replaced connection changes nothing.
    pub(crate) fn report(&self, view: View, only: Option<Vec<AppId>>) -> PresenceChange {
        match &self.0 {
            Kind::Local(connection) => {
                connection.report(view, only);
                PresenceChange::Done
            }
            Kind::Shared(connection) => PresenceChange::Pending(connection.report(view, only)),
        }
    }

    /// Lets only these Applications see the device from now on.
    pub(crate) fn set_visibility(&self, apps: Vec<AppId>) -> PresenceChange {
        match &self.0 {
            Kind::Local(connection) => {
                connection.set_visibility(apps);
                PresenceChange::Done
            }
            Kind::Shared(connection) => PresenceChange::Pending(connection.set_visibility(apps)),
        }
    }

    /// Ends the connection, by a clean close or otherwise. Returns the work that remains.
    pub(crate) fn disconnect(self, clean: bool) -> Option<BoxFuture<'static, ()>> {
        match self.0 {
            Kind::Local(connection) => {
                connection.disconnect(clean);
                None
            }
            Kind::Shared(connection) => Some(connection.disconnect(clean)),
        }
    }
}
