//! One device: its connection, its reports, and the Applications that may see it.

use std::time::Duration;

use presence_protocol::{AppId, DeviceName, Status, UnixMillis};

use super::connection::{ConnectionNumber, LastConnection};
use crate::clock::Steady;
use crate::view::View;

/// A device of a user, as the user sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// The name of the device.
    pub device: DeviceName,
    /// The last report that was for all Applications.
    pub view: View,
    /// Set if a connection is open. Otherwise the device is in its grace time.
    pub connected: bool,
    /// The time at which it connected.
    pub since: UnixMillis,
}

#[derive(Clone)]
pub(super) enum DeviceState<H> {
    Connected(H),
    /// The connection was lost: the device keeps its presence until the end of the grace time.
    InGrace {
        until: Steady,
        handle: H,
    },
    /// The device has no presence: only its visibility is remembered.
    Absent {
        until: Steady,
    },
}

impl<H> DeviceState<H> {
    /// Returns the last connection of a device that is connected or in its grace time.
    pub(super) fn into_last_connection(self) -> Option<LastConnection<H>> {
        match self {
            Self::Connected(handle) => Some(LastConnection { handle, is_open: true }),
            Self::InGrace { handle, .. } => Some(LastConnection { handle, is_open: false }),
            Self::Absent { .. } => None,
        }
    }
}

#[derive(Clone)]
pub(super) struct Report {
    pub(super) view: View,
    /// The position in the order of all reports and visibility changes of this user.
    pub(super) order: u64,
}

#[derive(Clone)]
pub(super) struct Visibility {
    pub(super) apps: Vec<AppId>,
    pub(super) order: u64,
}

#[derive(Clone)]
pub(super) struct Device<H> {
    pub(super) name: DeviceName,
    pub(super) state: DeviceState<H>,
    pub(super) number: ConnectionNumber,
    pub(super) since: UnixMillis,
    /// The last report that was for all Applications.
    pub(super) general: Option<Report>,
    /// The last report for each Application that a report has named.
    pub(super) targeted: Vec<(AppId, Report)>,
    pub(super) visibility: Option<Visibility>,
}

impl<H> Device<H> {
    pub(super) fn new(
        name: DeviceName,
        number: ConnectionNumber,
        handle: H,
        since: UnixMillis,
    ) -> Self {
        let (state, targeted) = (DeviceState::Connected(handle), Vec::new());
        Self { name, state, number, since, general: None, targeted, visibility: None }
    }

    /// Applies a report, for the Applications in `only` or for all that may see the device. Offline
    /// for all is also for those that earlier reports have named: no Application sees the device as
    /// anything else.
    pub(super) fn report(&mut self, report: Report, only: Option<Vec<AppId>>) {
        let Some(apps) = only else {
            if report.view.status == Status::Offline {
                self.targeted.clear();
            }
            self.general = Some(report);
            return;
        };
        for app in apps {
            self.targeted.retain(|(known, _)| *known != app);
            self.targeted.push((app, Report { view: report.view.clone(), order: report.order }));
        }
    }

    pub(super) fn narrows_visibility(&self, apps: &[AppId]) -> bool {
        let visibility = self.visibility.as_ref();
        visibility.is_none_or(|known| apps.iter().all(|app| known.apps.contains(app)))
    }

    pub(super) fn set_visibility(&mut self, apps: Vec<AppId>, order: u64) {
        self.visibility = Some(Visibility { apps, order });
    }

    pub(super) fn forget_app(&mut self, app: AppId) {
        self.targeted.retain(|(known, _)| *known != app);
        if let Some(visibility) = &mut self.visibility {
            visibility.apps.retain(|known| *known != app);
        }
    }

    /// Returns the report that an Application may see. A report that names the Application counts
    /// even if an earlier visibility set leaves it out.
    pub(super) fn report_for(&self, app: AppId) -> Option<&Report> {
        let targeted =
            self.targeted.iter().find(|(known, _)| *known == app).map(|(_, report)| report);
        match &self.visibility {
            Some(visibility) if !visibility.apps.contains(&app) => {
                targeted.filter(|report| report.order > visibility.order)
            }
            Some(_) | None => self.general.iter().chain(targeted).max_by_key(|report| report.order),
        }
    }

    /// Begins the grace time of a device whose connection was lost.
    pub(super) fn lose(&mut self, until: Steady) {
        let gone = DeviceState::Absent { until };
        if let Some(last) = std::mem::replace(&mut self.state, gone).into_last_connection() {
            self.state = DeviceState::InGrace { until, handle: last.handle };
        }
    }

    pub(super) fn tick(&mut self, now: Steady, visibility_retention: Duration) {
        if let DeviceState::InGrace { until, .. } = self.state
            && until <= now
        {
            self.general = None;
            self.targeted.clear();
            self.state = DeviceState::Absent { until: until + visibility_retention };
        }
    }

    /// Returns true if nothing of the device must be remembered.
    pub(super) fn is_expired(&self, now: Steady) -> bool {
        match self.state {
            DeviceState::Absent { until } => until <= now || self.visibility.is_none(),
            DeviceState::Connected(_) | DeviceState::InGrace { .. } => false,
        }
    }

    pub(super) fn deadline(&self) -> Option<Steady> {
        match self.state {
            DeviceState::Connected(_) => None,
            DeviceState::InGrace { until, .. } | DeviceState::Absent { until } => Some(until),
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        matches!(self.state, DeviceState::Connected(_))
    }

    /// Returns true if the device is connected or in its grace time.
    pub(super) fn is_present(&self) -> bool {
        !matches!(self.state, DeviceState::Absent { .. })
    }

    pub(super) fn info(&self) -> DeviceInfo {
        DeviceInfo {
            device: self.name.clone(),
            view: self.general.as_ref().map(|report| report.view.clone()).unwrap_or_default(),
            connected: self.is_connected(),
            since: self.since,
        }
    }
}
