//! One device: its seat, what it reported, and to whom.

use std::time::Duration;

use presence_protocol::{AppId, DeviceName, UnixMillis};

use super::{DeviceInfo, View};
use crate::clock::Steady;

pub(super) enum Seat<H> {
    Connected(H),
    /// In its grace time.
    Lost {
        until: Steady,
    },
    /// Its presence is over; only its visibility is remembered.
    Gone {
        until: Steady,
    },
}

pub(super) struct Report {
    pub(super) view: View,
    /// When it was said, in the order of all that this user's devices said.
    pub(super) order: u64,
}

struct Visibility {
    apps: Vec<AppId>,
    order: u64,
}

pub(super) struct Device<H> {
    pub(super) name: DeviceName,
    pub(super) seat: Seat<H>,
    pub(super) generation: u64,
    pub(super) since: UnixMillis,
    /// The last report to all that may see the device.
    general: Option<Report>,
    /// The last report to single Applications.
    narrow: Vec<(AppId, Report)>,
    visibility: Option<Visibility>,
}

impl<H> Device<H> {
    pub(super) fn new(name: DeviceName, seat: Seat<H>, generation: u64, since: UnixMillis) -> Self {
        Self { name, seat, generation, since, general: None, narrow: Vec::new(), visibility: None }
    }

    pub(super) fn report(&mut self, report: Report, only: Option<Vec<AppId>>) {
        let Some(apps) = only else {
            self.general = Some(report);
            return;
        };
        for app in apps {
            self.narrow.retain(|(known, _)| *known != app);
            self.narrow.push((app, Report { view: report.view.clone(), order: report.order }));
        }
    }

    pub(super) fn show_only_to(&mut self, apps: Vec<AppId>, order: u64) {
        self.visibility = Some(Visibility { apps, order });
    }

    pub(super) fn forget_app(&mut self, app: AppId) {
        self.narrow.retain(|(known, _)| *known != app);
        if let Some(visibility) = &mut self.visibility {
            visibility.apps.retain(|known| *known != app);
        }
    }

    /// What an Application may see of this device. A report that names it counts even where the visibility set, spoken before,
    /// leaves it out.
    pub(super) fn shown_to(&self, app: AppId) -> Option<&Report> {
        let narrow = self.narrow.iter().find(|(known, _)| *known == app).map(|(_, report)| report);
        match &self.visibility {
            Some(visibility) if !visibility.apps.contains(&app) => {
                narrow.filter(|report| report.order > visibility.order)
            }
            Some(_) | None => self.general.iter().chain(narrow).max_by_key(|report| report.order),
        }
    }

    pub(super) fn tick(&mut self, now: Steady, visibility_kept: Duration) {
        if let Seat::Lost { until } = self.seat
            && until <= now
        {
            self.general = None;
            self.narrow.clear();
            self.seat = Seat::Gone { until: until + visibility_kept };
        }
    }

    pub(super) fn is_forgotten(&self, now: Steady) -> bool {
        match self.seat {
            Seat::Gone { until } => until <= now || self.visibility.is_none(),
            Seat::Connected(_) | Seat::Lost { .. } => false,
        }
    }

    pub(super) fn deadline(&self) -> Option<Steady> {
        match self.seat {
            Seat::Connected(_) => None,
            Seat::Lost { until } | Seat::Gone { until } => Some(until),
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        matches!(self.seat, Seat::Connected(_))
    }

    /// Connected, or in its grace time.
    pub(super) fn is_present(&self) -> bool {
        !matches!(self.seat, Seat::Gone { .. })
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
