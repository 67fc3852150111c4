//! The model of a device: what Applications may see of it, from the commands that its user knows
//! the answers to. A command that failed may have been done or not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use presence_core::View;
use presence_protocol::{CloseCode, NotificationId};

use super::super::SharedConnection;
use crate::mailbox::Mailbox;
use crate::socket_waker::SocketWaker;

/// A report, with the steps at which it began and ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KnownReport {
    pub(super) view: View,
    pub(super) begun: usize,
    pub(super) ended: usize,
}

/// The Applications that may see a device, with the step at which it was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KnownVisibility {
    apps: BTreeSet<usize>,
    begun: usize,
}

/// An open socket of a device.
pub(super) struct DeviceSocket {
    pub(super) id: usize,
    pub(super) server: usize,
    pub(super) connection: SharedConnection,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) waker: Arc<SocketWaker>,
    /// The step at which it was asked for.
    begun: usize,
    /// The possible last reports for all Applications.
    general: Vec<KnownReport>,
    /// The notifications that it got, by their `seq`.
    pub(super) got: BTreeSet<i64>,
    /// Set if a grant of the user was resumed since, so that notifications may come again.
    pub(super) may_repeat: bool,
}

/// A device, with the sockets that its user has not closed.
pub(super) struct SimulatedDevice {
    pub(super) sockets: Vec<DeviceSocket>,
    /// Set while one of its commands has no answer.
    pub(super) is_busy: bool,
    /// The steps at which a socket was asked for last, and the end of the device.
    pub(super) last_open: usize,
    pub(super) last_end: usize,
    /// The number of sockets that were open at the last rest, or asked for since.
    pub(super) asked_for: usize,
    /// The notifications that it has taken and not settled.
    pub(super) unsettled: Vec<NotificationId>,
    /// The possible reports for single Applications.
    targeted: BTreeMap<usize, Vec<Option<KnownReport>>>,
    /// The possible visibilities, `None` for that all may see it.
    visibility: Vec<Option<KnownVisibility>>,
}

impl DeviceSocket {
    pub(super) fn new(
        (id, server): (usize, usize),
        connection: SharedConnection,
        (mailbox, waker): (Arc<Mailbox>, Arc<SocketWaker>),
        first: KnownReport,
    ) -> Self {
        let (begun, general, got) = (first.begun, vec![first], BTreeSet::new());
        Self { id, server, connection, mailbox, waker, begun, general, got, may_repeat: false }
    }
}

impl Default for SimulatedDevice {
    fn default() -> Self {
        let (sockets, targeted) = (Vec::new(), BTreeMap::new());
        let (last_open, last_end, asked_for) = (0, 0, 0);
        let (unsettled, visibility) = (Vec::new(), vec![None]);
        Self {
            sockets,
            is_busy: false,
            last_open,
            last_end,
            asked_for,
            unsettled,
            targeted,
            visibility,
        }
    }
}

impl SimulatedDevice {
    /// Returns the socket that is used.
    pub(super) fn socket(&self) -> Option<&DeviceSocket> {
        self.sockets.last().filter(|socket| socket.waker.closing().is_none())
    }

    /// Returns true if a socket is open, and nothing was done meanwhile that ends it.
    pub(super) fn is_current(&self, id: usize) -> bool {
        let socket = self.sockets.iter().find(|socket| socket.id == id);
        socket.is_some_and(|socket| self.last_open.max(self.last_end) <= socket.begun)
    }

    pub(super) fn socket_mut(&mut self, id: usize) -> Option<&mut DeviceSocket> {
        self.sockets.iter_mut().find(|socket| socket.id == id)
    }

    /// Removes the sockets that their servers want to close. `may_be_erased` tells it of the user.
    ///
    /// # Errors
    ///
    /// The code of one for which there was no reason.
    pub(super) fn remove_closing(&mut self, may_be_erased: bool) -> Result<(), String> {
        let (last_open, last_end) = (self.last_open, self.last_end);
        for socket in self.sockets.extract_if(.., |socket| socket.waker.closing().is_some()) {
            let is_right = match socket.waker.closing() {
                Some(CloseCode::Replaced) => last_open > socket.begun,
                // A newer connection may have ended before its server could announce it.
                Some(CloseCode::NotAuthorised) => may_be_erased,
                Some(CloseCode::EndedByUser) => last_end.max(last_open) > socket.begun,
                // Two were put back after the live tables were emptied, and no server knows
                // which one is newer. The device connects again.
                Some(CloseCode::Restart) => self.asked_for > 1,
                Some(_) | None => false,
            };
            if !is_right {
                return Err(format!("a socket is closed with {:?}", socket.waker.closing()));
            }
        }
        Ok(())
    }

    /// Notes a report for all Applications.
    pub(super) fn note_report(&mut self, socket: usize, report: KnownReport, is_done: bool) {
        let is_offline = report.view == View::default();
        if let Some(socket) = self.socket_mut(socket) {
            if is_done {
                socket.general.clear();
            }
            socket.general.push(report);
        }
        if is_offline {
            self.forget_targeted(is_done);
        }
    }

    /// Notes a report for an Application.
    pub(super) fn note_targeted(&mut self, app: usize, report: KnownReport, is_certain: bool) {
        let known = self.targeted.entry(app).or_insert_with(|| vec![None]);
        if is_certain {
            known.clear();
        }
        known.push(Some(report));
    }

    /// Notes that only these Applications may see the device.
    pub(super) fn note_visibility(&mut self, apps: &[usize], begun: usize, is_done: bool) {
        if is_done {
            self.visibility.clear();
        }
        let apps = apps.iter().copied().collect();
        self.visibility.push(Some(KnownVisibility { apps, begun }));
    }

    /// Notes that the reports for single Applications are forgotten, or may be.
    pub(super) fn forget_targeted(&mut self, is_certain: bool) {
        if is_certain {
            self.targeted.clear();
        }
        for known in self.targeted.values_mut().filter(|known| !known.contains(&None)) {
            known.push(None);
        }
    }

    /// Notes that the visibility is forgotten, or may be.
    pub(super) fn forget_visibility(&mut self, is_certain: bool) {
        if is_certain {
            self.visibility.clear();
        }
        if !self.visibility.contains(&None) {
            self.visibility.push(None);
        }
    }

    /// Notes that a grant of an Application has ended, or may have.
    pub(super) fn forget_app(&mut self, app: usize, is_certain: bool) {
        if is_certain {
            self.targeted.remove(&app);
        } else if let Some(known) = self.targeted.get_mut(&app) {
            known.push(None);
        }
        let mut without = self.visibility.clone();
        for known in without.iter_mut().flatten() {
            known.apps.remove(&app);
        }
        if is_certain {
            self.visibility = without;
        } else {
            self.visibility.extend(without);
        }
    }

    /// Returns the possible reports that an Application may see of a device with an open socket.
    pub(super) fn reports_for(
        &self,
        app: usize,
        socket: &DeviceSocket,
    ) -> Vec<Option<KnownReport>> {
        let never = [None];
        let targeted = self.targeted.get(&app).map_or(never.as_slice(), Vec::as_slice);
        let mut reports = Vec::new();
        for visibility in &self.visibility {
            for targeted in targeted {
                for general in &socket.general {
                    let targeted = targeted.clone();
                    let report = match visibility {
                        Some(known) if !known.apps.contains(&app) => {
                            targeted.filter(|report| report.begun > known.begun)
                        }
                        Some(_) | None => targeted
                            .filter(|report| report.begun > general.begun)
                            .or_else(|| Some(general.clone())),
                    };
                    if !reports.contains(&report) {
                        reports.push(report);
                    }
                }
            }
        }
        reports
    }
}

/// Returns the possible views of an Application of several devices, each with its possible reports.
pub(super) fn merged_views(devices: &[Vec<Option<KnownReport>>]) -> Vec<View> {
    let mut combinations: Vec<Vec<KnownReport>> = vec![Vec::new()];
    for reports in devices {
        let with = |combination: &Vec<KnownReport>| {
            let combination = combination.clone();
            let with = move |report: &Option<KnownReport>| {
                combination.iter().cloned().chain(report.clone()).collect::<Vec<KnownReport>>()
            };
            reports.iter().map(with).collect::<Vec<Vec<KnownReport>>>()
        };
        combinations = combinations.iter().flat_map(with).collect();
    }
    let mut views = Vec::new();
    for reports in combinations {
        let best = reports.iter().map(|report| report.view.status).max();
        let best: Vec<&KnownReport> =
            reports.iter().filter(|report| Some(report.view.status) == best).collect();
        if best.is_empty() {
            views.push(View::default());
        }
        // One that had ended before another one began is not the last one.
        let is_last = |report: &&&KnownReport| best.iter().all(|it| it.begun <= report.ended);
        views.extend(best.iter().filter(is_last).map(|report| report.view.clone()));
    }
    views
}
