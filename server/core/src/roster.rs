//! The devices of one user, and what each Application sees of the user.
//!
//! The roster does not know sockets: `H` is the handle that the owner keeps for a connected device.

mod connection;
mod device;
mod stored;

use std::time::Duration;

use presence_protocol::{AppId, DeviceName, OfflineCause, Puid, Status};

use crate::clock::Steady;
use crate::model::{Grant, GrantSet};
use crate::view::View;
pub use connection::{
    ConnectionId, ConnectionNumber, Disconnect, LastConnection, NewConnection, StaleConnection,
    TooManyDevices,
};
pub use device::DeviceInfo;
use device::{Device, DeviceState, Report};
pub use stored::{InvalidRoster, StoredRoster};

/// A change of what an Application sees of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewChange {
    /// The Application.
    pub app: AppId,
    /// The user, as the Application knows them.
    pub puid: Puid,
    /// The view that the Application has from now on.
    pub view: View,
    /// The cause, if the view is offline.
    pub cause: OfflineCause,
}

/// The time for which the visibility of a lost device is remembered after its grace time.
const VISIBILITY_RETENTION: Duration = Duration::from_hours(1);
/// The maximum number of devices that are remembered for a user without being connected.
const MAX_REMEMBERED: usize = 20;

#[derive(Clone)]
struct GrantView {
    grant: Grant,
    /// The view that the Application has while it is active.
    view: View,
}

/// The devices and grants of one user, and what each Application sees.
#[derive(Clone)]
pub struct Roster<H> {
    devices: Vec<Device<H>>,
    grants: Vec<GrantView>,
    revision: Option<i64>,
    /// The number of reports and visibility changes so far.
    last_order: u64,
}

impl<H> Default for Roster<H> {
    fn default() -> Self {
        Self { devices: Vec::new(), grants: Vec::new(), revision: None, last_order: 0 }
    }
}

impl<H> Roster<H> {
    /// Adds a connection. Returns the earlier connection of the same device, if the device is still
    /// connected or in its grace time.
    ///
    /// # Errors
    ///
    /// [`TooManyDevices`] if `limit` other devices are connected.
    pub fn connect(
        &mut self,
        new: NewConnection<'_, H>,
        limit: usize,
    ) -> Result<Option<LastConnection<H>>, TooManyDevices> {
        let NewConnection { id: ConnectionId { device: name, number }, handle, now } = new;
        let others = self.devices.iter().filter(|d| d.is_connected() && d.name != *name).count();
        if others >= limit {
            return Err(TooManyDevices);
        }
        let Some(device) = self.devices.iter_mut().find(|d| d.name == *name) else {
            // Most users have one device, and a growing list would allocate space for four.
            self.devices.reserve_exact(1);
            self.devices.push(Device::new(name.clone(), number, handle, now));
            return Ok(None);
        };
        (device.number, device.since) = (number, now);
        let earlier = std::mem::replace(&mut device.state, DeviceState::Connected(handle));
        Ok(earlier.into_last_connection())
    }

    /// Sets the status of a device, for the Applications in `only` or for all that may see it.
    ///
    /// # Errors
    ///
    /// [`StaleConnection`].
    pub fn report(
        &mut self,
        id: ConnectionId<'_>,
        view: View,
        only: Option<Vec<AppId>>,
        changes: &mut Vec<ViewChange>,
    ) -> Result<(), StaleConnection> {
        self.last_order += 1;
        let report = Report { view, order: self.last_order };
        let only = only.map(|apps| self.retain_granted(apps));
        self.connected_device(id)?.report(report, only);
        self.update_views(OfflineCause::Left, changes);
        Ok(())
    }

    /// Lets only these Applications see the device from now on.
    ///
    /// # Errors
    ///
    /// [`StaleConnection`].
    pub fn set_visibility(
        &mut self,
        id: ConnectionId<'_>,
        apps: Vec<AppId>,
        changes: &mut Vec<ViewChange>,
    ) -> Result<(), StaleConnection> {
        self.last_order += 1;
        let (apps, order) = (self.retain_granted(apps), self.last_order);
        self.connected_device(id)?.set_visibility(apps, order);
        self.update_views(OfflineCause::Left, changes);
        Ok(())
    }

    /// Removes a connection. A cleanly closed one takes its device with it; a lost one leaves the
    /// device in its grace time.
    ///
    /// # Errors
    ///
    /// [`StaleConnection`]: nothing is changed.
    pub fn disconnect(
        &mut self,
        id: ConnectionId<'_>,
        how: Disconnect,
        changes: &mut Vec<ViewChange>,
    ) -> Result<(), StaleConnection> {
        let device = self.connected_device(id)?;
        match how {
            Disconnect::Clean => self.devices.retain(|d| d.name != *id.device),
            Disconnect::Lost { until } => device.lose(until),
        }
        self.remove_surplus();
        self.update_views(OfflineCause::Left, changes);
        Ok(())
    }

    /// Ends a device for the user. Returns its last connection, or `None` if there is no such
    /// device.
    pub fn end_device(
        &mut self,
        name: &DeviceName,
        changes: &mut Vec<ViewChange>,
    ) -> Option<LastConnection<H>> {
        let index = self.devices.iter().position(|d| d.name == *name && d.is_present())?;
        let device = self.devices.swap_remove(index);
        self.update_views(OfflineCause::Left, changes);
        device.state.into_last_connection()
    }

    /// Replaces the grants. A set that is not newer than the current one is ignored.
    pub fn set_grants(&mut self, set: GrantSet, changes: &mut Vec<ViewChange>) {
        if self.revision.is_some_and(|current| current >= set.revision) {
            return;
        }
        self.revision = Some(set.revision);
        // Most users have one or two grants, and a growing list would allocate space for four.
        let grants = Vec::with_capacity(set.grants.len());
        let mut before = std::mem::replace(&mut self.grants, grants);
        for grant in set.grants {
            let known = before.iter().position(|known| known.grant.puid == grant.puid);
            let view = known.map(|index| before.swap_remove(index).view).unwrap_or_default();
            self.grants.push(GrantView { grant, view });
        }
        for device in &mut self.devices {
            for ended in &before {
                device.forget_app(ended.grant.app);
            }
        }
        self.update_views(OfflineCause::Left, changes);
    }

    /// Ends the grace times that are over. Returns the next deadline.
    pub fn tick(&mut self, now: Steady, changes: &mut Vec<ViewChange>) -> Option<Steady> {
        for device in &mut self.devices {
            device.tick(now, VISIBILITY_RETENTION);
        }
        self.devices.retain(|d| !d.is_expired(now));
        self.update_views(OfflineCause::Lost, changes);
        self.deadline()
    }

    /// Loses the connections whose handles match: their devices keep their presence until the end
    /// of the grace time.
    pub fn lose_connections(&mut self, is_lost: impl Fn(&H) -> bool, until: Steady) {
        for device in &mut self.devices {
            if matches!(&device.state, DeviceState::Connected(handle) if is_lost(handle)) {
                device.lose(until);
            }
        }
        self.remove_surplus();
    }

    /// Begins an empty roster in place of one that was lost: what is reported from now on is newer
    /// than what devices that [`Roster::restore_devices`] puts back have reported before.
    pub fn begin_at(&mut self, now: Steady) {
        // A roster has fewer than this number of reports in a millisecond.
        const ORDERS: u64 = 1_000;
        let millis = u64::try_from(now.since_start().as_millis()).unwrap_or(u64::MAX);
        self.last_order = self.last_order.max(millis.saturating_mul(ORDERS));
    }

    /// Takes the connected devices of an earlier roster of the same user whose handles match, with
    /// what they have reported. A device that is connected here stays as it is.
    pub fn restore_devices(
        &mut self,
        earlier: Self,
        is_restored: impl Fn(&H) -> bool,
        changes: &mut Vec<ViewChange>,
    ) {
        self.last_order = self.last_order.max(earlier.last_order);
        for device in earlier.devices {
            let is_wanted =
                matches!(&device.state, DeviceState::Connected(handle) if is_restored(handle));
            let is_connected =
                self.devices.iter().any(|d| d.name == device.name && d.is_connected());
            if is_wanted && !is_connected {
                self.devices.retain(|d| d.name != device.name);
                self.devices.push(device);
            }
        }
        self.update_views(OfflineCause::Left, changes);
    }

    /// Returns the handle of an open connection.
    pub fn handle_mut(&mut self, id: ConnectionId<'_>) -> Option<&mut H> {
        match &mut self.connected_device(id).ok()?.state {
            DeviceState::Connected(handle) => Some(handle),
            DeviceState::InGrace { .. } | DeviceState::Absent { .. } => None,
        }
    }

    /// Returns the revision of the grants, `None` before the first set.
    pub fn revision(&self) -> Option<i64> {
        self.revision
    }

    /// Returns the time of the next tick, if one is needed.
    pub fn deadline(&self) -> Option<Steady> {
        self.devices.iter().filter_map(Device::deadline).min()
    }

    /// Returns true if nothing of the user must be remembered.
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// Returns the last connection of a device that is connected or in its grace time, and whether
    /// it is open.
    pub fn connection_of(&self, name: &DeviceName) -> Option<(ConnectionNumber, bool)> {
        let device = self.devices.iter().find(|d| d.name == *name && d.is_present())?;
        Some((device.number, device.is_connected()))
    }

    /// Changes the handles of the connected devices.
    pub fn handles_mut(&mut self) -> impl Iterator<Item = &mut H> {
        self.devices.iter_mut().filter_map(|device| match &mut device.state {
            DeviceState::Connected(handle) => Some(handle),
            DeviceState::InGrace { .. } | DeviceState::Absent { .. } => None,
        })
    }

    /// Returns the handles of the connected devices.
    pub fn handles(&self) -> impl Iterator<Item = &H> {
        self.devices.iter().filter_map(|device| match &device.state {
            DeviceState::Connected(handle) => Some(handle),
            DeviceState::InGrace { .. } | DeviceState::Absent { .. } => None,
        })
    }

    /// Returns the devices that are connected or in their grace time, with the handles of their
    /// last connections.
    pub fn last_handles(&self) -> impl Iterator<Item = (&DeviceName, &H)> {
        self.devices.iter().filter_map(|device| match &device.state {
            DeviceState::Connected(handle) | DeviceState::InGrace { handle, .. } => {
                Some((&device.name, handle))
            }
            DeviceState::Absent { .. } => None,
        })
    }

    /// Returns true if a visibility list shows a device to no Application that its present list
    /// leaves out. A device without a list is seen by all, and an unknown one by none.
    pub fn narrows_visibility(&self, name: &DeviceName, apps: &[AppId]) -> bool {
        let device = self.devices.iter().find(|device| device.name == *name);
        device.is_none_or(|device| device.narrows_visibility(apps))
    }

    /// Returns the devices that are connected or in their grace time.
    pub fn devices(&self) -> Vec<DeviceInfo> {
        self.devices.iter().filter(|d| d.is_present()).map(Device::info).collect()
    }

    /// Returns the Applications that have a grant.
    pub fn granted_apps(&self) -> impl Iterator<Item = AppId> {
        self.grants.iter().map(|known| known.grant.app)
    }

    /// Returns the grants under which the user is not offline.
    pub fn visible_grants(&self) -> impl Iterator<Item = &Grant> {
        self.grants.iter().filter(|g| g.view.status != Status::Offline).map(|g| &g.grant)
    }

    fn connected_device(
        &mut self,
        id: ConnectionId<'_>,
    ) -> Result<&mut Device<H>, StaleConnection> {
        self.devices
            .iter_mut()
            .find(|d| d.name == *id.device && d.number == id.number && d.is_connected())
            .ok_or(StaleConnection)
    }

    fn retain_granted(&self, mut apps: Vec<AppId>) -> Vec<AppId> {
        apps.retain(|app| self.grants.iter().any(|known| known.grant.app == *app));
        apps
    }

    fn update_views(&mut self, cause: OfflineCause, changes: &mut Vec<ViewChange>) {
        for grant_view in &mut self.grants {
            let view = merged_view(&self.devices, &grant_view.grant);
            if *view != grant_view.view {
                grant_view.view = view.clone();
                let Grant { app, puid, .. } = grant_view.grant;
                changes.push(ViewChange { app, puid, view: view.clone(), cause });
            }
        }
    }

    /// Removes the devices beyond the maximum that are remembered, the oldest first.
    fn remove_surplus(&mut self) {
        let not_connected = self.devices.iter().filter(|d| !d.is_connected()).count();
        for _ in MAX_REMEMBERED..not_connected {
            if let Some(index) = self.devices.iter().position(|d| !d.is_connected()) {
                self.devices.remove(index);
            }
        }
    }
}

/// Returns the view of the most available device. Among devices with the same status, the last
/// report counts.
fn merged_view<'a, H>(devices: &'a [Device<H>], grant: &Grant) -> &'a View {
    static OFFLINE: View = View { status: Status::Offline, text: None };
    if grant.is_suspended() {
        return &OFFLINE;
    }
    devices
        .iter()
        .filter_map(|device| device.report_for(grant.app))
        .max_by_key(|report| (report.view.status, report.order))
        .map_or(&OFFLINE, |report| &report.view)
}

#[cfg(test)]
mod tests;
