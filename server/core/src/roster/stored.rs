//! A roster as a value that can be stored and read again, also by another server.
//!
//! Numbers stand for ids and times, so that a binary format can hold them.

use std::time::Duration;

use presence_protocol::{AppId, DeviceName, Puid, StatusText, UnixMillis};
use serde::{Deserialize, Serialize};

use super::connection::ConnectionNumber;
use super::device::{Device, DeviceState, Report, Visibility};
use super::{GrantView, Roster};
use crate::clock::Steady;
use crate::model::Grant;
use crate::view::{View, status_code, status_from_code};

/// A stored roster. `H` is the handle of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRoster<H> {
    devices: Vec<StoredDevice<H>>,
    grants: Vec<StoredGrant>,
    revision: Option<i64>,
    last_order: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StoredDevice<H> {
    name: String,
    state: StoredState<H>,
    number: u64,
    since: u64,
    general: Option<StoredReport>,
    targeted: Vec<(u128, StoredReport)>,
    visibility: Option<(Vec<u128>, u64)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum StoredState<H> {
    Connected(H),
    /// The end of the grace time in milliseconds of the clock of the roster.
    InGrace(u64, H),
    Absent(u64),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StoredReport {
    view: StoredView,
    order: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StoredView {
    status: u8,
    text: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StoredGrant {
    app: u128,
    puid: u128,
    paused: bool,
    waiting: bool,
    granted_at: u64,
    view: StoredView,
}

/// A stored roster holds values that no server writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored roster is invalid")]
pub struct InvalidRoster;

impl<H: Clone> Roster<H> {
    /// Returns the roster as a value to store.
    pub fn to_stored(&self) -> StoredRoster<H> {
        StoredRoster {
            devices: self.devices.iter().map(StoredDevice::from).collect(),
            grants: self.grants.iter().map(StoredGrant::from).collect(),
            revision: self.revision,
            last_order: self.last_order,
        }
    }
}

impl<H> TryFrom<StoredRoster<H>> for Roster<H> {
    type Error = InvalidRoster;

    fn try_from(stored: StoredRoster<H>) -> Result<Self, InvalidRoster> {
        let StoredRoster { devices, grants, revision, last_order } = stored;
        Ok(Self {
            devices: devices.into_iter().map(Device::try_from).collect::<Result<_, _>>()?,
            grants: grants.into_iter().map(GrantView::try_from).collect::<Result<_, _>>()?,
            revision,
            last_order,
        })
    }
}

impl<H: Clone> From<&Device<H>> for StoredDevice<H> {
    fn from(device: &Device<H>) -> Self {
        Self {
            name: device.name.as_str().to_owned(),
            state: match &device.state {
                DeviceState::Connected(handle) => StoredState::Connected(handle.clone()),
                DeviceState::InGrace { until, handle } => {
                    StoredState::InGrace(millis(*until), handle.clone())
                }
                DeviceState::Absent { until } => StoredState::Absent(millis(*until)),
            },
            number: device.number.0,
            since: device.since.get(),
            general: device.general.as_ref().map(StoredReport::from),
            targeted: device
                .targeted
                .iter()
                .map(|(app, report)| (app.bits(), StoredReport::from(report)))
                .collect(),
            visibility: device.visibility.as_ref().map(|visibility| {
                let apps = visibility.apps.iter().map(|app| app.bits()).collect();
                (apps, visibility.order)
            }),
        }
    }
}

impl<H> TryFrom<StoredDevice<H>> for Device<H> {
    type Error = InvalidRoster;

    fn try_from(stored: StoredDevice<H>) -> Result<Self, InvalidRoster> {
        let name: DeviceName = stored.name.parse().map_err(|_| InvalidRoster)?;
        let targeted = stored.targeted.into_iter();
        Ok(Self {
            name,
            state: match stored.state {
                StoredState::Connected(handle) => DeviceState::Connected(handle),
                StoredState::InGrace(until, handle) => {
                    DeviceState::InGrace { until: at_millis(until), handle }
                }
                StoredState::Absent(until) => DeviceState::Absent { until: at_millis(until) },
            },
            number: ConnectionNumber(stored.number),
            since: UnixMillis::new(stored.since),
            general: stored.general.map(Report::try_from).transpose()?,
            targeted: targeted
                .map(|(app, report)| Ok((AppId::from_bits(app), report.try_into()?)))
                .collect::<Result<_, InvalidRoster>>()?,
            visibility: stored.visibility.map(|(apps, order)| Visibility {
                apps: apps.into_iter().map(AppId::from_bits).collect(),
                order,
            }),
        })
    }
}

impl From<&Report> for StoredReport {
    fn from(report: &Report) -> Self {
        Self { view: StoredView::from(&report.view), order: report.order }
    }
}

impl TryFrom<StoredReport> for Report {
    type Error = InvalidRoster;

    fn try_from(stored: StoredReport) -> Result<Self, InvalidRoster> {
        Ok(Self { view: stored.view.try_into()?, order: stored.order })
    }
}

impl From<&View> for StoredView {
    fn from(view: &View) -> Self {
        let text = view.text.as_ref().map(|text| text.as_str().to_owned());
        Self { status: status_code(view.status), text }
    }
}

impl TryFrom<StoredView> for View {
    type Error = InvalidRoster;

    fn try_from(stored: StoredView) -> Result<Self, InvalidRoster> {
        let status = status_from_code(stored.status).ok_or(InvalidRoster)?;
        let text: Option<StatusText> =
            stored.text.map(|text| text.try_into().map_err(|_| InvalidRoster)).transpose()?;
        Ok(Self { status, text })
    }
}

impl From<&GrantView> for StoredGrant {
    fn from(grant_view: &GrantView) -> Self {
        let Grant { app, puid, paused, waiting, granted_at } = grant_view.grant;
        let view = StoredView::from(&grant_view.view);
        let granted_at = granted_at.get();
        Self { app: app.bits(), puid: puid.bits(), paused, waiting, granted_at, view }
    }
}

impl TryFrom<StoredGrant> for GrantView {
    type Error = InvalidRoster;

    fn try_from(stored: StoredGrant) -> Result<Self, InvalidRoster> {
        let StoredGrant { app, puid, paused, waiting, granted_at, view } = stored;
        let (app, puid) = (AppId::from_bits(app), Puid::from_bits(puid));
        let granted_at = UnixMillis::new(granted_at);
        Ok(Self { grant: Grant { app, puid, paused, waiting, granted_at }, view: view.try_into()? })
    }
}

fn millis(at: Steady) -> u64 {
    u64::try_from(at.since_start().as_millis()).unwrap_or(u64::MAX)
}

fn at_millis(millis: u64) -> Steady {
    Steady::from_start(Duration::from_millis(millis))
}
