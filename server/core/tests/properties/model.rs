//! The expected state, from the contract alone: all commands that each device ever sent, replayed
//! from the beginning for each query. It uses none of the code under test.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use presence_core::Steady;
use presence_protocol::Status;

/// The bits of a PUID.
pub(crate) type Uid = u128;
/// The status and text of a user that an Application sees.
pub(crate) type VisibleStatus = (Status, String);

/// The status of a user who is offline, hidden, or whose grant is paused.
pub(crate) fn offline() -> VisibleStatus {
    (Status::Offline, String::new())
}

/// The grants of a user as loaded into the hub.
#[derive(Debug, Clone, Default)]
pub(crate) struct ModelGrantSet {
    pub(crate) revision: i64,
    pub(crate) grants: Vec<ModelGrant>,
}

/// A grant.
#[derive(Debug, Clone)]
pub(crate) struct ModelGrant {
    pub(crate) app: usize,
    pub(crate) uid: Uid,
    pub(crate) paused: bool,
}

/// The identity of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionKey {
    pub(crate) user: usize,
    pub(crate) device: usize,
    pub(crate) number: u64,
}

/// The state of a device.
enum ConnectionState {
    Connected,
    /// It was lost, and keeps its presence until this time.
    InGrace(Steady),
    /// Only its visibility is kept, until this time.
    Remembered(Steady),
}

/// A command that a device sends.
enum DeviceCommand {
    SetStatus(VisibleStatus),
    SetVisibility,
}

struct SentCommand {
    order: u64,
    command: DeviceCommand,
    /// The PUIDs that may see it, or all if absent.
    visible_to: Option<BTreeSet<Uid>>,
}

struct ModelDevice {
    number: u64,
    connection: ConnectionState,
    commands: Vec<SentCommand>,
}

impl ModelDevice {
    /// Returns the status that the device shows under a PUID, and the order of its command.
    fn status_under(&self, uid: Uid) -> Option<(VisibleStatus, u64)> {
        let (mut latest, mut hidden, mut reported_after_hiding) = (None, false, None);
        for SentCommand { order, command, visible_to } in &self.commands {
            let named = visible_to.as_ref().map(|visible_to| visible_to.contains(&uid));
            match (command, named) {
                (DeviceCommand::SetVisibility, _) => {
                    (hidden, reported_after_hiding) = (named != Some(true), None);
                }
                (DeviceCommand::SetStatus(_), Some(false)) => {}
                (DeviceCommand::SetStatus(status), None) => {
                    latest = Some((status.clone(), *order));
                    // No Application sees a device that is offline as anything else.
                    if status.0 == Status::Offline {
                        reported_after_hiding = None;
                    }
                }
                (DeviceCommand::SetStatus(status), Some(true)) => {
                    latest = Some((status.clone(), *order));
                    reported_after_hiding.clone_from(&latest);
                }
            }
        }
        if hidden { reported_after_hiding } else { latest }
    }

    /// Ends the grace time, and an hour later the kept visibility. Returns false if nothing is
    /// left.
    fn expire(&mut self, now: Steady) -> bool {
        if let ConnectionState::InGrace(until) = self.connection
            && until <= now
        {
            self.commands.retain(|sent| matches!(sent.command, DeviceCommand::SetVisibility));
            self.connection = ConnectionState::Remembered(until + Duration::from_hours(1));
        }
        match self.connection {
            ConnectionState::Remembered(until) => until > now && !self.commands.is_empty(),
            ConnectionState::Connected | ConnectionState::InGrace(_) => true,
        }
    }
}

/// A user with a device that is connected or remembered.
#[derive(Default)]
struct ModelUser {
    grants: Option<ModelGrantSet>,
    devices: BTreeMap<usize, ModelDevice>,
}

/// The expected state of all users.
#[derive(Default)]
pub(crate) struct Model {
    users: BTreeMap<usize, ModelUser>,
    order: u64,
}

impl Model {
    /// Connects a device, unless too many others are connected.
    pub(crate) fn connect(&mut self, connection: ConnectionKey, most: usize) -> bool {
        let user = self.users.entry(connection.user).or_default();
        let connected = |(name, device): (&usize, &ModelDevice)| {
            *name != connection.device && matches!(device.connection, ConnectionState::Connected)
        };
        let fits = user.devices.iter().filter(|d| connected(*d)).count() < most;
        if fits {
            let device = user.devices.entry(connection.device).or_insert_with(|| ModelDevice {
                number: 0,
                connection: ConnectionState::Connected,
                commands: vec![],
            });
            (device.number, device.connection) = (connection.number, ConnectionState::Connected);
        }
        self.remove_empty();
        fits
    }

    /// Loads the grants of a user who has a device. The newer of two sets counts.
    pub(crate) fn load(&mut self, user: usize, grants: &ModelGrantSet) {
        if let Some(user) = self.users.get_mut(&user)
            && user.grants.as_ref().is_none_or(|current| current.revision < grants.revision)
        {
            user.grants = Some(grants.clone());
        }
    }

    /// Sets the status of a device. Returns false if the connection was replaced.
    pub(crate) fn report(
        &mut self,
        connection: ConnectionKey,
        visible_status: VisibleStatus,
        only: Option<&[usize]>,
    ) -> bool {
        self.send(connection, DeviceCommand::SetStatus(visible_status), only)
    }

    /// Sets the visibility of a device. Returns false if the connection was replaced.
    pub(crate) fn set_visibility(&mut self, connection: ConnectionKey, apps: &[usize]) -> bool {
        self.send(connection, DeviceCommand::SetVisibility, Some(apps))
    }

    fn send(
        &mut self,
        connection: ConnectionKey,
        command: DeviceCommand,
        only: Option<&[usize]>,
    ) -> bool {
        self.order += 1;
        let order = self.order;
        let Some(user) = self.users.get_mut(&connection.user) else { return false };
        let grants = user.grants.iter().flat_map(|grants| &grants.grants);
        let visible_to = only.map(|apps| {
            grants.filter(|grants| apps.contains(&grants.app)).map(|grants| grants.uid).collect()
        });
        let Some(device) = user.devices.get_mut(&connection.device).filter(|d| d.is(connection))
        else {
            return false;
        };
        device.commands.push(SentCommand { order, command, visible_to });
        true
    }

    /// Ends a connection. `lost_until` is the end of its grace time, or absent after a clean close.
    /// Returns false if the connection was replaced.
    pub(crate) fn disconnect(
        &mut self,
        connection: ConnectionKey,
        lost_until: Option<Steady>,
    ) -> bool {
        let Some(user) = self.users.get_mut(&connection.user) else { return false };
        let Some(device) = user.devices.get_mut(&connection.device).filter(|d| d.is(connection))
        else {
            return false;
        };
        match lost_until {
            Some(until) => device.connection = ConnectionState::InGrace(until),
            None => drop(user.devices.remove(&connection.device)),
        }
        self.remove_empty();
        true
    }

    /// Ends a device for its user.
    pub(crate) fn end_device(&mut self, user: usize, device: usize) {
        if let Some(user) = self.users.get_mut(&user) {
            let present = |d: &ModelDevice| !matches!(d.connection, ConnectionState::Remembered(_));
            if user.devices.get(&device).is_some_and(present) {
                user.devices.remove(&device);
            }
        }
        self.remove_empty();
    }

    /// Ends what is over at this time.
    pub(crate) fn tick(&mut self, now: Steady) {
        for user in self.users.values_mut() {
            user.devices.retain(|_, device| device.expire(now));
        }
        self.remove_empty();
    }

    /// Returns the status that an active Application sees under a PUID.
    pub(crate) fn visible_status(&self, uid: Uid) -> VisibleStatus {
        let may_see = |user: &&ModelUser| {
            let mut grants = user.grants.iter().flat_map(|grants| &grants.grants);
            grants.any(|grants| grants.uid == uid && !grants.paused)
        };
        let Some(user) = self.users.values().find(may_see) else { return offline() };
        let visible_status: Vec<_> =
            user.devices.values().filter_map(|d| d.status_under(uid)).collect();
        for status in [Status::Online, Status::Unavailable] {
            let equals = visible_status.iter().filter(|((commands, _), _)| *commands == status);
            if let Some((best, _)) = equals.max_by_key(|(_, order)| *order) {
                return best.clone();
            }
        }
        offline()
    }

    /// Returns the number of users with a device.
    pub(crate) fn users(&self) -> usize {
        self.users.len()
    }

    fn remove_empty(&mut self) {
        self.users.retain(|_, user| !user.devices.is_empty());
    }
}

impl ModelDevice {
    fn is(&self, connection: ConnectionKey) -> bool {
        self.number == connection.number && matches!(self.connection, ConnectionState::Connected)
    }
}
