//! One user's devices, and what each Application is shown of them.
//!
//! Knows nothing of sockets: `H` is whatever the owner keeps for a connected device.

mod device;

use std::time::Duration;

use presence_protocol::{AppId, DeviceName, Puid, Status, StatusText, UnixMillis};

use crate::clock::Steady;
use crate::model::{Grant, GrantSet};
use device::{Device, Report, Seat};

/// A status with its text: what a change is measured by. Offline never has a text, so that hidden, paused and gone look alike.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// The status.
    pub status: Status,
    /// The text.
    pub text: Option<StatusText>,
}

impl View {
    /// A status with its text, which offline does not have.
    pub fn new(status: Status, text: Option<StatusText>) -> Self {
        Self { status, text: text.filter(|_| status != Status::Offline) }
    }
}

/// An Application is to be told of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewChange {
    /// Whom to tell.
    pub app: AppId,
    /// Of whom.
    pub puid: Puid,
    /// What it is shown from now on.
    pub view: View,
}

/// A connection that wants a seat.
pub struct NewConnection<'a, H> {
    /// The device.
    pub name: &'a DeviceName,
    /// What its owner keeps for it.
    pub handle: H,
    /// Greater than that of every earlier connection.
    pub generation: u64,
    /// When it came.
    pub now: UnixMillis,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disconnect {
    /// By a clean close, or by the user: the device's presence ends at once.
    Clean,
    /// In any other way: the device may come back until then, and nobody notices.
    Lost {
        /// The end of the grace time.
        until: Steady,
    },
}

/// The seat belongs to a newer connection; what an older one says is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a newer connection has this seat")]
pub struct StaleConnection;

/// No more devices of this user can be connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many connected devices")]
pub struct TooManyDevices;

/// What is known of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Its name.
    pub device: DeviceName,
    /// What it last reported to all.
    pub view: View,
    /// Whether a connection is open; if not, it is in its grace time.
    pub connected: bool,
    /// When it connected.
    pub since: UnixMillis,
}

/// How long the visibility of a lost device is remembered after its grace time.
const VISIBILITY_KEPT: Duration = Duration::from_hours(1);
/// How many devices that are not connected are remembered for a user.
const REMEMBERED: usize = 20;

struct Granted {
    grant: Grant,
    shown: View,
}

/// One user's devices, grants, and what each Application is shown.
pub struct Roster<H> {
    devices: Vec<Device<H>>,
    grants: Vec<Granted>,
    revision: Option<i64>,
    spoken: u64,
}

impl<H> Default for Roster<H> {
    fn default() -> Self {
        Self { devices: Vec::new(), grants: Vec::new(), revision: None, spoken: 0 }
    }
}

impl<H> Roster<H> {
    /// Gives a device its seat, and the handle of the connection that had it before.
    ///
    /// # Errors
    ///
    /// [`TooManyDevices`] where `most` other devices are connected.
    pub fn arrive(
        &mut self,
        arrival: NewConnection<'_, H>,
        most: usize,
    ) -> Result<Option<H>, TooManyDevices> {
        let NewConnection { name, handle, generation, now } = arrival;
        let others = self.devices.iter().filter(|d| d.is_connected() && d.name != *name).count();
        if others >= most {
            return Err(TooManyDevices);
        }
        let seat = Seat::Connected(handle);
        let Some(device) = self.devices.iter_mut().find(|d| d.name == *name) else {
            // Most users have one device, and a growing list would make room for four.
            self.devices.reserve_exact(1);
            self.devices.push(Device::new(name.clone(), seat, generation, now));
            return Ok(None);
        };
        device.generation = generation;
        device.since = now;
        match std::mem::replace(&mut device.seat, seat) {
            Seat::Connected(older) => Ok(Some(older)),
            Seat::Lost { .. } | Seat::Gone { .. } => Ok(None),
        }
    }

    /// A device reports a status to the Applications it names, else to those that may see it.
    ///
    /// # Errors
    ///
    /// [`StaleConnection`] where the seat belongs to another connection.
    pub fn report(
        &mut self,
        seat: (&DeviceName, u64),
        view: View,
        only: Option<Vec<AppId>>,
        out: &mut Vec<ViewChange>,
    ) -> Result<(), StaleConnection> {
        self.spoken += 1;
        let report = Report { view, order: self.spoken };
        let only = only.map(|apps| self.granted_among(apps));
        self.seated(seat)?.report(report, only);
        self.publish(out);
        Ok(())
    }

    /// From now on only these Applications see the device.
    ///
    /// # Errors
    ///
    /// [`StaleConnection`] where the seat belongs to another connection.
    pub fn show_only_to(
        &mut self,
        seat: (&DeviceName, u64),
        apps: Vec<AppId>,
        out: &mut Vec<ViewChange>,
    ) -> Result<(), StaleConnection> {
        self.spoken += 1;
        let (apps, order) = (self.granted_among(apps), self.spoken);
        self.seated(seat)?.show_only_to(apps, order);
        self.publish(out);
        Ok(())
    }

    /// A connection ended.
    ///
    /// # Errors
    ///
    /// [`StaleConnection`] where the seat belongs to another connection; nothing is changed then.
    pub fn leave(
        &mut self,
        seat: (&DeviceName, u64),
        ending: Disconnect,
        out: &mut Vec<ViewChange>,
    ) -> Result<(), StaleConnection> {
        let device = self.seated(seat)?;
        match ending {
            Disconnect::Clean => self.devices.retain(|d| d.name != *seat.0),
            Disconnect::Lost { until } => device.seat = Seat::Lost { until },
        }
        self.forget_surplus();
        self.publish(out);
        Ok(())
    }

    /// The user ends a device; the handle is that of its connection, where it has one. `None` where there is no such device.
    pub fn end(&mut self, name: &DeviceName, out: &mut Vec<ViewChange>) -> Option<Option<H>> {
        let place = self.devices.iter().position(|d| d.name == *name && d.is_present())?;
        let device = self.devices.swap_remove(place);
        self.publish(out);
        match device.seat {
            Seat::Connected(handle) => Some(Some(handle)),
            Seat::Lost { .. } | Seat::Gone { .. } => Some(None),
        }
    }

    /// Takes the grants as they are at a revision; an older set than the one held is ignored.
    pub fn set_grants(&mut self, set: GrantSet, out: &mut Vec<ViewChange>) {
        if self.revision.is_some_and(|held| held >= set.revision) {
            return;
        }
        self.revision = Some(set.revision);
        // Exactly as many: most users have one or two, and a growing list would make room for four.
        let grants = Vec::with_capacity(set.grants.len());
        let mut before = std::mem::replace(&mut self.grants, grants);
        for grant in set.grants {
            let known = before.iter().position(|g| g.grant.puid == grant.puid);
            let shown = known.map(|place| before.swap_remove(place).shown).unwrap_or_default();
            self.grants.push(Granted { grant, shown });
        }
        for device in &mut self.devices {
            for gone in &before {
                device.forget_app(gone.grant.app);
            }
        }
        self.publish(out);
    }

    /// Whether the grants were loaded.
    pub fn knows_grants(&self) -> bool {
        self.revision.is_some()
    }

    /// Ends grace times that are over, and gives the next deadline.
    pub fn tick(&mut self, now: Steady, out: &mut Vec<ViewChange>) -> Option<Steady> {
        for device in &mut self.devices {
            device.tick(now, VISIBILITY_KEPT);
        }
        self.devices.retain(|d| !d.is_forgotten(now));
        self.publish(out);
        self.devices.iter().filter_map(Device::deadline).min()
    }

    /// Whether nothing is left that must be remembered.
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// The handles of the connected devices.
    pub fn connected(&self) -> impl Iterator<Item = &H> {
        self.devices.iter().filter_map(|device| match &device.seat {
            Seat::Connected(handle) => Some(handle),
            Seat::Lost { .. } | Seat::Gone { .. } => None,
        })
    }

    /// The devices that are connected or in their grace time.
    pub fn devices(&self) -> Vec<DeviceInfo> {
        self.devices.iter().filter(|d| d.is_present()).map(Device::info).collect()
    }

    fn seated(
        &mut self,
        (name, generation): (&DeviceName, u64),
    ) -> Result<&mut Device<H>, StaleConnection> {
        self.devices
            .iter_mut()
            .find(|d| d.name == *name && d.generation == generation && d.is_connected())
            .ok_or(StaleConnection)
    }

    fn granted_among(&self, apps: Vec<AppId>) -> Vec<AppId> {
        let granted = |app: &AppId| self.grants.iter().any(|g| g.grant.app == *app);
        apps.into_iter().filter(granted).collect()
    }

    fn publish(&mut self, out: &mut Vec<ViewChange>) {
        for granted in &mut self.grants {
            let view = merged(&self.devices, &granted.grant);
            if *view != granted.shown {
                granted.shown = view.clone();
                let Grant { app, puid, .. } = granted.grant;
                out.push(ViewChange { app, puid, view: view.clone() });
            }
        }
    }

    fn forget_surplus(&mut self) {
        let absent = self.devices.iter().filter(|d| !d.is_connected()).count();
        for _ in REMEMBERED..absent {
            if let Some(place) = self.devices.iter().position(|d| !d.is_connected()) {
                self.devices.remove(place);
            }
        }
    }
}

/// The best of what the devices show; among equals the one that spoke last.
fn merged<'a, H>(devices: &'a [Device<H>], grant: &Grant) -> &'a View {
    static HIDDEN: View = View { status: Status::Offline, text: None };
    if grant.paused {
        return &HIDDEN;
    }
    devices
        .iter()
        .filter_map(|device| device.shown_to(grant.app))
        .max_by_key(|report| (report.view.status, report.order))
        .map_or(&HIDDEN, |report| &report.view)
}

#[cfg(test)]
mod tests;
