//! The effects of answers on what is known of the world.

use std::collections::{BTreeMap, HashMap};

use presence_core::View;
use presence_protocol::{NotificationId, PresenceUpdate, Puid, Status};

use super::accounts::Erasure;
use super::command::{Answer, Command, GrantChange, OpenedSocket};
use super::device::{DeviceSocket, KnownReport};
use super::world::{APPS, DEVICES, InFlight, USERS, World, app_of, user_of};

impl World {
    /// Notes the answer to a command at a step. Returns notifications that a device has taken.
    ///
    /// # Errors
    ///
    /// The broken promise.
    pub(super) fn note(
        &mut self,
        (sent, now): (&InFlight, usize),
        answer: Answer,
    ) -> Result<Vec<NotificationId>, String> {
        let is_done = matches!(answer, Answer::Done(true));
        let begun = sent.begun;
        let known = |view: &View| KnownReport { view: view.clone(), begun, ended: now };
        match &sent.command {
            Command::Open { device, view } => {
                self.devices[*device].is_busy = false;
                let opened = if let Answer::Opened(opened) = answer { Some(opened) } else { None };
                return Ok(self.note_opened((*device, sent.server), opened, known(view)));
            }
            Command::Report { device, socket, view, only } => {
                self.note_report((*device, *socket), *only, (known(view), is_done));
            }
            Command::SetVisibility { device, socket, apps } => {
                let device = &mut self.devices[*device];
                device.is_busy = false;
                // A socket that was replaced cannot change it.
                let is_certain = is_done && device.is_current(*socket);
                device.note_visibility(apps, begun, is_certain);
            }
            Command::Close { device, clean } => {
                let device = &mut self.devices[*device];
                device.is_busy = false;
                device.forget_targeted(false);
                if *clean {
                    device.forget_visibility(false);
                }
            }
            Command::End { device } => {
                let device = &mut self.devices[*device];
                device.is_busy = false;
                device.forget_targeted(false);
                device.forget_visibility(false);
            }
            Command::Change { user, app, change } => {
                self.note_change((*user, *app), *change, (is_done, now));
            }
            Command::Erase { user } => self.note_erased(*user, (is_done, now)),
            Command::Switch { app, active } => self.note_switched(*app, *active, (is_done, now)),
            Command::Notify { user, app, id } => self.note_notified((*user, *app), *id, &answer),
            Command::Settle => {}
            Command::Query { app, known } => {
                if let Answer::Seen(seen) = answer {
                    self.check_query((*app, begun), known, &seen)?;
                }
            }
            Command::Subscribe { reader } => self.note_subscribed(*reader, sent.server, answer),
        }
        Ok(Vec::new())
    }

    fn note_subscribed(&mut self, reader: usize, server: usize, answer: Answer) {
        if matches!(answer, Answer::Refused) {
            self.refused.insert(reader);
        }
        let reader = &mut self.readers[reader];
        reader.is_busy = false;
        if let Answer::Subscribed(subscription, waker) = answer {
            reader.open(server, (*subscription, waker));
        }
    }

    fn note_report(
        &mut self,
        (device, socket): (usize, usize),
        only: Option<usize>,
        (report, is_done): (KnownReport, bool),
    ) {
        // While the database fails, a report that shows something is answered before it is
        // written. A crash of the server loses it.
        let is_certain = self.devices[device].is_current(socket)
            && (self.is_calm || report.view.status == Status::Offline);
        let device = &mut self.devices[device];
        device.is_busy = false;
        match only {
            None => device.note_report(socket, report, is_done),
            Some(app) => device.note_targeted(app, report, is_done && is_certain),
        }
    }

    fn note_switched(&mut self, app: usize, active: bool, answer: (bool, usize)) {
        self.switches[app].end(active, answer);
        self.refused.retain(|reader| app_of(*reader) != app);
    }

    fn note_opened(
        &mut self,
        (device, server): (usize, usize),
        opened: Option<Box<OpenedSocket>>,
        report: KnownReport,
    ) -> Vec<NotificationId> {
        let id = self.next_id();
        let was_emptied = self.emptied_at.is_some();
        let device = &mut self.devices[device];
        // The device may have been away for longer than its grace time.
        device.forget_targeted(false);
        if was_emptied {
            device.forget_visibility(false);
        }
        let Some(opened) = opened else { return Vec::new() };
        let OpenedSocket { connection, mailbox, waker, pending } = *opened;
        let is_offline = report.view == View::default();
        let mut socket = DeviceSocket::new((id, server), connection, (mailbox, waker), report);
        socket.got.extend(pending.0);
        device.sockets.push(socket);
        if is_offline {
            device.forget_targeted(true);
        }
        pending.1
    }

    fn note_change(
        &mut self,
        (user, app): (usize, usize),
        change: GrantChange,
        (is_done, now): (bool, usize),
    ) {
        if self.erasures[user] == Erasure::Done {
            // A grant that came before the erasure ended with it, and none comes after it.
            return;
        }
        let grant = &mut self.grants[user][app];
        let last = grant.states.iter().flatten().map(|it| it.0).next();
        grant.change(change, is_done);
        let hides = matches!(change, GrantChange::Pause(true) | GrantChange::Revoke);
        if is_done && hides && grant.late.is_empty() {
            grant.hidden = last.map(|puid| (puid, now));
        }
        for device in user * DEVICES.len()..(user + 1) * DEVICES.len() {
            let device = &mut self.devices[device];
            device.sockets.iter_mut().for_each(|socket| socket.may_repeat |= !hides);
            if change == GrantChange::Revoke {
                device.forget_app(app, is_done);
            }
        }
    }

    fn note_erased(&mut self, user: usize, (is_done, now): (bool, usize)) {
        for grant in &mut self.grants[user] {
            let last = grant.states.iter().flatten().map(|it| it.0).next();
            if is_done {
                (grant.states, grant.late) = (vec![None], Vec::new());
                grant.hidden = last.map(|puid| (puid, now)).or(grant.hidden);
            } else {
                grant.change(GrantChange::Revoke, false);
            }
        }
        if is_done {
            self.erasures[user] = Erasure::Done;
        }
    }

    fn note_notified(&mut self, _: (usize, usize), id: NotificationId, answer: &Answer) {
        let Some(sent) = self.notifications.get_mut(&id) else { return };
        sent.accepted = match answer {
            Answer::Done(true) => Some(true),
            Answer::Refused => Some(false),
            Answer::Done(false) | Answer::Opened(_) | Answer::Seen(_) | Answer::Subscribed(..) => {
                None
            }
        };
    }

    /// Checks that nothing is seen of a user whose grant was paused or revoked before the question,
    /// or by an Application that was off, and that no version is smaller than a known one.
    fn check_query(
        &mut self,
        (app, begun): (usize, usize),
        known: &BTreeMap<Puid, u64>,
        seen: &HashMap<Puid, PresenceUpdate>,
    ) -> Result<(), String> {
        let was_off = self.switches[app].off_since.is_some_and(|since| since <= begun);
        if was_off && let Some(update) = seen.values().find(|it| it.status != Status::Offline) {
            return Err(format!("an Application that is off sees {update:?}"));
        }
        for grant in self.grants.iter().map(|of_user| &of_user[app]) {
            let Some((puid, since)) = grant.hidden else { continue };
            let status = seen.get(&puid).map_or(Status::Offline, |update| update.status);
            if since <= begun && status != Status::Offline {
                return Err(format!("{status:?} is seen of {puid} after a pause or revoke"));
            }
        }
        for user in 0..USERS {
            let [Some((puid, _))] = self.grants[user][app].states[..] else { continue };
            let Some(update) = seen.get(&puid).filter(|_| !self.changes_grants(user)) else {
                continue;
            };
            let last = known.get(&puid).copied().unwrap_or_default();
            if update.version < last {
                return Err(format!("version {last} was before {update:?}, the answer to a query"));
            }
            note_newest(&mut self.newest[app], puid, update.version);
        }
        Ok(())
    }

    /// Lets all AppServices read. `is_warming_up` tells it of each server.
    ///
    /// # Errors
    ///
    /// The broken promise.
    pub(super) fn read(
        &mut self,
        reader: usize,
        is_warming_up: impl Fn(usize) -> bool,
    ) -> Result<(), String> {
        let app = app_of(reader);
        assert!(app < APPS);
        let reader = &mut self.readers[reader];
        if let Some((server, ..)) = &reader.socket {
            let warming_up = is_warming_up(*server);
            reader.read(warming_up, (&mut self.shown[app], &self.off_versions[app]))?;
        }
        let versions = reader.versions();
        versions.for_each(|(puid, version)| note_newest(&mut self.newest[app], puid, version));
        if let Some(code) = reader.closing() {
            self.switches[app].check_close(code, self.emptied_at.is_some())?;
            reader.close();
        }
        Ok(())
    }

    /// Takes the notifications of a device's mailboxes.
    ///
    /// # Errors
    ///
    /// The broken promise.
    pub(super) fn take(&mut self, device: usize) -> Result<Vec<NotificationId>, String> {
        let mut taken = Vec::new();
        let user = self.users[user_of(device)];
        for socket in &mut self.devices[device].sockets {
            for notification in socket.mailbox.take(usize::MAX) {
                if notification.user != user {
                    return Err(format!("a notification for another user: {notification:?}"));
                }
                if !socket.got.insert(notification.seq) && !socket.may_repeat {
                    return Err(format!("the notification {} came twice", notification.id));
                }
                taken.push(notification.id);
            }
        }
        Ok(taken)
    }
}

fn note_newest(newest: &mut BTreeMap<Puid, u64>, puid: Puid, version: u64) {
    let known = newest.entry(puid).or_default();
    *known = version.max(*known);
}
