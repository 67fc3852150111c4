//! What Applications must believe of one user, computed from what the server has acknowledged: a
//! simple model of the contract.

use std::collections::HashMap;

/// The two Applications, by number.
pub(super) const APPS: usize = 2;

/// A status with its text; offline has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    pub(super) status: String,
    pub(super) text: Option<String>,
}

impl View {
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

/// A report with its place among all that the user's devices said.
type Report = (View, usize);

#[derive(Debug, Default)]
struct Device {
    to_all: Option<Report>,
    to_one: HashMap<usize, Report>,
    visible_to: Option<(Vec<usize>, usize)>,
}

#[derive(Debug, Clone)]
pub(super) struct Grant {
    pub(super) uid: String,
    pub(super) paused: bool,
}

/// One user, as the contract says that they are seen.
#[derive(Debug, Default)]
pub(super) struct Truth {
    devices: HashMap<String, Device>,
    grants: [Option<Grant>; APPS],
    spoken: usize,
}

impl Truth {
    /// A device reported a status: to all that may see it, or only to some.
    pub(super) fn reported(&mut self, device: &str, view: View, only: Option<&[usize]>) {
        self.spoken += 1;
        let (order, granted) = (self.spoken, self.granted());
        let device = self.devices.entry(device.to_owned()).or_default();
        let Some(only) = only else {
            device.to_all = Some((view, order));
            return;
        };
        for app in only.iter().filter(|app| granted.contains(app)) {
            device.to_one.insert(*app, (view.clone(), order));
        }
    }

    /// From now on only these Applications see a device.
    pub(super) fn narrowed(&mut self, device: &str, apps: &[usize]) {
        self.spoken += 1;
        let (order, granted) = (self.spoken, self.granted());
        let apps = apps.iter().copied().filter(|app| granted.contains(app)).collect();
        self.devices.entry(device.to_owned()).or_default().visible_to = Some((apps, order));
    }

    /// To whom a device said that it is visible, where it ever did.
    pub(super) fn visibility(&self, device: &str) -> Option<Vec<usize>> {
        let (apps, _) = self.devices.get(device)?.visible_to.as_ref()?;
        Some(apps.clone())
    }

    /// A device said good-bye: nothing of it is left.
    pub(super) fn closed(&mut self, device: &str) {
        self.devices.remove(device);
    }

    /// A device was lost, and its grace time is over: only its visibility is left.
    pub(super) fn lost(&mut self, device: &str) {
        if let Some(device) = self.devices.get_mut(device) {
            device.to_all = None;
            device.to_one.clear();
        }
    }

    pub(super) fn grant(&self, app: usize) -> Option<&Grant> {
        self.grants[app].as_ref()
    }

    pub(super) fn granted_to(&mut self, app: usize, uid: String) {
        let again = self.grants[app].as_ref().is_some_and(|grant| grant.uid == uid);
        assert!(self.grants[app].is_none() || again, "a repeated grant answered another uid");
        self.grants[app].get_or_insert(Grant { uid, paused: false });
    }

    pub(super) fn paused(&mut self, app: usize, paused: bool) {
        self.grants[app].as_mut().unwrap().paused = paused;
    }

    /// A grant was revoked: what the devices said about it is void.
    pub(super) fn revoked(&mut self, app: usize) {
        self.grants[app] = None;
        for device in self.devices.values_mut() {
            device.to_one.remove(&app);
            if let Some((apps, _)) = &mut device.visible_to {
                apps.retain(|known| *known != app);
            }
        }
    }

    /// What an Application must believe.
    pub(super) fn shown_to(&self, app: usize) -> View {
        if self.grants[app].as_ref().is_none_or(|grant| grant.paused) {
            return View::offline();
        }
        let reports = self.devices.values().filter_map(|device| device.shown_to(app));
        let best = reports.max_by_key(|(view, order)| (view.rank(), *order));
        best.map_or_else(View::offline, |(view, _)| view.clone())
    }

    fn granted(&self) -> Vec<usize> {
        (0..APPS).filter(|app| self.grants[*app].is_some()).collect()
    }
}

impl Device {
    fn shown_to(&self, app: usize) -> Option<&Report> {
        let to_one = self.to_one.get(&app);
        match &self.visible_to {
            Some((apps, order)) if !apps.contains(&app) => {
                to_one.filter(|(_, spoken)| spoken > order)
            }
            Some(_) | None => self.to_all.iter().chain(to_one).max_by_key(|(_, order)| *order),
        }
    }
}
