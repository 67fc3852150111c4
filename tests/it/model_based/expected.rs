//! A simple model of the contract: computes what Applications must see of one user from the frames
//! that the server has acknowledged.

use std::collections::HashMap;

/// The two Applications, by number.
pub(super) const APPS: usize = 2;

/// A status with its text; offline has no text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VisibleStatus {
    pub(super) status: String,
    pub(super) text: Option<String>,
}

impl VisibleStatus {
    pub(super) fn new(status: &str, text: Option<&str>) -> Self {
        let text = text.filter(|text| status != "offline" && !text.is_empty());
        Self { status: status.to_owned(), text: text.map(str::to_owned) }
    }

    pub(super) fn offline() -> Self {
        Self::new("offline", None)
    }

    pub(super) fn is_offline(&self) -> bool {
        self.status == "offline"
    }

    fn rank(&self) -> usize {
        ["offline", "unavailable", "online"].iter().position(|s| *s == self.status).unwrap()
    }
}

/// A report with its position in the order of the user's reports.
type StatusReport = (VisibleStatus, usize);

#[derive(Debug, Default)]
struct ExpectedDevice {
    to_all: Option<StatusReport>,
    to_one: HashMap<usize, StatusReport>,
    visible_to: Option<(Vec<usize>, usize)>,
}

#[derive(Debug, Clone)]
pub(super) struct Grant {
    pub(super) uid: String,
    pub(super) paused: bool,
}

/// The model of one user.
#[derive(Debug, Default)]
pub(super) struct ExpectedUser {
    devices: HashMap<String, ExpectedDevice>,
    grants: [Option<Grant>; APPS],
    reports: usize,
}

impl ExpectedUser {
    /// Records a status of a device, for all Applications that may see it or only for some.
    pub(super) fn record_report(
        &mut self,
        device: &str,
        view: VisibleStatus,
        only: Option<&[usize]>,
    ) {
        self.reports += 1;
        let (order, granted) = (self.reports, self.granted());
        let device = self.devices.entry(device.to_owned()).or_default();
        let Some(only) = only else {
            // Offline is for every Application that ever saw the device.
            if view.is_offline() {
                device.to_one.clear();
            }
            device.to_all = Some((view, order));
            return;
        };
        for app in only.iter().filter(|app| granted.contains(app)) {
            device.to_one.insert(*app, (view.clone(), order));
        }
    }

    /// Records that only these Applications see a device from now on.
    pub(super) fn record_visibility(&mut self, device: &str, apps: &[usize]) {
        self.reports += 1;
        let (order, granted) = (self.reports, self.granted());
        let apps = apps.iter().copied().filter(|app| granted.contains(app)).collect();
        self.devices.entry(device.to_owned()).or_default().visible_to = Some((apps, order));
    }

    /// Returns the Applications that a device has limited its visibility to, if it ever did.
    pub(super) fn visibility(&self, device: &str) -> Option<Vec<usize>> {
        let (apps, _) = self.devices.get(device)?.visible_to.as_ref()?;
        Some(apps.clone())
    }

    /// Records that a device has closed its connection: nothing of it is left.
    pub(super) fn record_close(&mut self, device: &str) {
        self.devices.remove(device);
    }

    /// Records that the grace period of a lost device is over: only its visibility is left.
    pub(super) fn record_loss(&mut self, device: &str) {
        if let Some(device) = self.devices.get_mut(device) {
            device.to_all = None;
            device.to_one.clear();
        }
    }

    pub(super) fn grant(&self, app: usize) -> Option<&Grant> {
        self.grants[app].as_ref()
    }

    pub(super) fn record_grant(&mut self, app: usize, uid: String) {
        let again = self.grants[app].as_ref().is_some_and(|grant| grant.uid == uid);
        assert!(self.grants[app].is_none() || again, "a repeated grant answered another uid");
        self.grants[app].get_or_insert(Grant { uid, paused: false });
    }

    pub(super) fn record_pause(&mut self, app: usize, paused: bool) {
        self.grants[app].as_mut().unwrap().paused = paused;
    }

    /// Records that a grant was revoked: the devices' reports for it are void.
    pub(super) fn record_revocation(&mut self, app: usize) {
        self.grants[app] = None;
        for device in self.devices.values_mut() {
            device.to_one.remove(&app);
            if let Some((apps, _)) = &mut device.visible_to {
                apps.retain(|known| *known != app);
            }
        }
    }

    /// Returns the status that an Application must see.
    pub(super) fn visible_status(&self, app: usize) -> VisibleStatus {
        if self.grants[app].as_ref().is_none_or(|grant| grant.paused) {
            return VisibleStatus::offline();
        }
        let reports = self.devices.values().filter_map(|device| device.visible_status(app));
        let best = reports.max_by_key(|(view, order)| (view.rank(), *order));
        best.map_or_else(VisibleStatus::offline, |(view, _)| view.clone())
    }

    fn granted(&self) -> Vec<usize> {
        (0..APPS).filter(|app| self.grants[*app].is_some()).collect()
    }
}

impl ExpectedDevice {
    fn visible_status(&self, app: usize) -> Option<&StatusReport> {
        let to_one = self.to_one.get(&app);
        match &self.visible_to {
            Some((apps, order)) if !apps.contains(&app) => {
                to_one.filter(|(_, reports)| reports > order)
            }
            Some(_) | None => self.to_all.iter().chain(to_one).max_by_key(|(_, order)| *order),
        }
    }
}
