//! The steps of a run between two rests.

use presence_core::View;
use presence_protocol::{NotificationId, Puid, Status, StatusText};
use presence_store::NewNotification;

use super::application::Application;
use super::command::{Answer, Command, GrantChange};
use super::run::Run;
use super::server::SimulatedServer;
use super::world::{
    APPS, DEVICES, SERVERS, SentNotification, TWINS, USERS, app_of, device_name, user_of,
};

/// The maximum number of commands that wait for their answers.
const IN_FLIGHT: usize = 12;

impl Run {
    /// Does one step.
    pub(super) async fn step(&mut self) {
        self.network.events.steps += 1;
        if self.rng.permille(self.faults.server) {
            self.disturb_server().await;
        } else if self.rng.permille(self.faults.database) {
            self.disturb_database().await;
        }
        let (waiting, announced) = self.ready();
        match self.rng.below(100) {
            0..62 if !waiting.is_empty() => {
                let (link, fate) = (self.rng.pick(&waiting), self.fate());
                self.network.run(link, fate);
            }
            62..72 if !announced.is_empty() => {
                let is_lost = self.rng.permille(self.faults.announcement);
                let link = self.rng.pick(&announced);
                self.network.announce(link, is_lost);
            }
            72..80 => self.read_something(),
            80..91 if self.world.in_flight.len() < IN_FLIGHT => self.start_something(),
            91 => self.report_at_once(),
            _ => {
                let millis = match self.rng.below(400) {
                    0..300 => 1,
                    300..370 => 20,
                    370..395 => 150,
                    395..399 => 700,
                    _ => 3_000,
                };
                self.advance(millis).await;
            }
        }
        self.settle().await;
        self.remove_stopped();
    }

    /// Lets an AppService or a device read.
    fn read_something(&mut self) {
        if self.rng.below(3) > 0 {
            let reader = self.rng.below(self.world.readers.len());
            self.read(reader);
            return;
        }
        let devices = self.world.devices.iter().enumerate();
        let got = devices.filter(|it| it.1.sockets.iter().any(|it| it.mailbox.depth() > 0));
        let got: Vec<usize> = got.map(|it| it.0).collect();
        if !got.is_empty() {
            let device = self.rng.pick(&got);
            let taken = self.world.take(device);
            let taken = self.checked(taken);
            self.settle_taken(device, taken);
        }
    }

    /// Lets an AppService read.
    pub(super) fn read(&mut self, reader: usize) {
        self.note_switches(app_of(reader));
        let servers = &self.servers;
        let is_warming_up =
            |server: usize| servers.get(&server).is_some_and(|it| it.hub.is_warming_up());
        let read = self.world.read(reader, is_warming_up);
        let read = read.map_err(|problem| format!("Application {}: {problem}", app_of(reader)));
        self.checked(read);
    }

    /// Settles notifications that a device has taken, now or with later ones.
    pub(super) fn settle_taken(&mut self, device: usize, taken: Vec<NotificationId>) {
        self.world.devices[device].unsettled.extend(taken);
        if self.rng.below(4) == 0 {
            self.settle_all(device);
        }
    }

    /// Settles all notifications that a device has taken.
    pub(super) fn settle_all(&mut self, device: usize) {
        let user = self.world.users[user_of(device)];
        let known = &mut self.world.devices[device];
        let Some(server) = known.socket().map(|socket| socket.server) else { return };
        let unsettled = std::mem::take(&mut known.unsettled);
        if !unsettled.is_empty() {
            let work = self.service(server).settle(user, unsettled);
            self.start_command(server, Command::Settle, work);
        }
    }

    /// Returns the servers that do not stop.
    pub(super) fn running(&self) -> Vec<usize> {
        let running = self.servers.iter().filter(|(_, server)| !server.is_stopping());
        running.map(|(place, _)| *place).collect()
    }

    /// Lets all devices of a user report. Their reports may be written together.
    fn report_at_once(&mut self) {
        let user = self.rng.below(USERS);
        (user * DEVICES.len()..(user + 1) * DEVICES.len()).for_each(|device| self.report(device));
    }

    pub(super) fn start_something(&mut self) {
        let running = self.running();
        if running.is_empty() {
            return;
        }
        let server = self.rng.pick(&running);
        let device = self.rng.below(USERS * DEVICES.len());
        match self.rng.below(100) {
            0..30 => self.open_device(device, server),
            30..56 => self.report(device),
            56..58 => self.erase_user(server),
            58..61 => self.switch(server),
            61..66 => self.set_visibility(device),
            66..76 => self.close_device(device),
            76..78 => self.end_device(device, server),
            78..86 => self.change_grant(server),
            86..94 => self.notify(server),
            94..96 => self.query(server),
            _ => {
                let reader = self.rng.below(APPS * SERVERS);
                if self.rng.below(4) == 0 {
                    self.world.readers[reader].close();
                }
                self.subscribe(reader, server);
            }
        }
    }

    fn view(&mut self) -> View {
        let status = self.rng.pick(&[Status::Online, Status::Unavailable, Status::Offline]);
        let text = match self.rng.below(4) {
            0 => Some(format!("text {}", self.world.next_id())),
            1 => Some("at work".to_owned()),
            _ => None,
        };
        View::new(status, text.map(|text| StatusText::try_from(text).unwrap()))
    }

    pub(super) fn open_device(&mut self, device: usize, server: usize) {
        let is_here = self.world.is_here(user_of(device));
        let known = &mut self.world.devices[device];
        if !is_here || known.is_busy || (known.socket().is_some() && self.rng.below(3) > 0) {
            return;
        }
        known.is_busy = true;
        let (view, user) = (self.view(), self.world.users[user_of(device)]);
        let work = self.service(server).open(user, device_name(device), view.clone());
        self.start_command(server, Command::Open { device, view }, work);
    }

    fn report(&mut self, device: usize) {
        let user = user_of(device);
        let apps = self.world.certain_apps(user);
        let names = self.rng.below(6) == 0 && !apps.is_empty() && !self.world.changes_grants(user);
        let only = names.then(|| self.rng.pick(&apps)).filter(|app| *app >= TWINS);
        let view = self.view();
        let is_here = self.world.is_here(user);
        let known = &mut self.world.devices[device];
        if known.is_busy || !is_here {
            return;
        }
        let Some(socket) = known.socket() else { return };
        let (server, id) = (socket.server, socket.id);
        let ids = only.map(|app| vec![self.world.apps[app]]);
        let work = socket.connection.report(view.clone(), ids);
        known.is_busy = true;
        let work = async move { work.await.into() };
        self.start_command(server, Command::Report { device, socket: id, view, only }, work);
    }

    fn set_visibility(&mut self, device: usize) {
        let user = user_of(device);
        let mut apps = self.world.certain_apps(user);
        // The twins see the same.
        apps.retain(|app| *app < TWINS || self.rng.below(2) == 0);
        let twins = self.rng.below(2) == 0;
        apps.retain(|app| *app >= TWINS || twins);
        let may_name = !self.world.changes_grants(user) && self.world.is_here(user);
        let known = &mut self.world.devices[device];
        if known.is_busy || !may_name {
            return;
        }
        let Some(socket) = known.socket() else { return };
        let (server, id) = (socket.server, socket.id);
        let named = apps.iter().map(|app| self.world.apps[*app]).collect();
        let work = socket.connection.set_visibility(named);
        known.is_busy = true;
        let work = async move { work.await.into() };
        self.start_command(server, Command::SetVisibility { device, socket: id, apps }, work);
    }

    fn close_device(&mut self, device: usize) {
        let known = &mut self.world.devices[device];
        if known.is_busy || known.sockets.is_empty() {
            return;
        }
        let place = self.rng.below(known.sockets.len());
        let socket = known.sockets.remove(place);
        let clean = self.rng.below(2) == 0;
        known.is_busy = true;
        let work = socket.connection.disconnect(clean);
        let work = async move {
            work.await;
            Answer::Done(true)
        };
        self.start_command(socket.server, Command::Close { device, clean }, work);
    }

    fn end_device(&mut self, device: usize, server: usize) {
        let is_here = self.world.is_here(user_of(device));
        let known = &mut self.world.devices[device];
        if known.is_busy || !is_here {
            return;
        }
        known.is_busy = true;
        let user = self.world.users[user_of(device)];
        let work = self.service(server).end(user, device_name(device));
        self.start_command(server, Command::End { device }, work);
    }

    fn change_grant(&mut self, server: usize) {
        let user = self.rng.below(USERS);
        let app = TWINS + self.rng.below(APPS - TWINS);
        let is_free = !self.world.changes_grants(user) && !self.world.names_applications(user);
        if !is_free || !self.world.is_here(user) {
            return;
        }
        let is_known = self.world.grants[user][app].states.iter().any(Option::is_some);
        let change = match self.rng.below(6) {
            _ if !is_known => GrantChange::Grant(Puid::from_bits(self.rng.bits())),
            0 => GrantChange::Revoke,
            1..3 => GrantChange::Pause(true),
            3..5 => GrantChange::Pause(false),
            _ => GrantChange::Grant(Puid::from_bits(self.rng.bits())),
        };
        self.change((user, app), change, server);
    }

    /// Sends some notifications to a user.
    fn notify(&mut self, server: usize) {
        let user = self.rng.below(USERS);
        for _ in 0..=self.rng.below(3) {
            self.notify_user(user, server);
        }
    }

    fn notify_user(&mut self, user: usize, server: usize) {
        let app = TWINS + self.rng.below(APPS - TWINS);
        let Some(puid) = self.world.any_puid(user, app) else { return };
        let id = self.world.notification_id(&mut self.rng);
        let ttl = self.rng.pick(&[0, 5, 3_600, 3_600]);
        let item = NewNotification {
            id,
            puid,
            source: None,
            message: "message".to_owned(),
            action: String::new(),
            ttl,
            idempotency_key: None,
        };
        let receipts = Vec::new();
        let sent = SentNotification { app, accepted: None, receipts, may_be_lost: false };
        self.world.notifications.insert(id, sent);
        let work = self.service(server).notify(self.world.apps[app], item);
        self.start_command(server, Command::Notify { user, app, id }, work);
    }

    fn query(&mut self, server: usize) {
        let app = TWINS + self.rng.below(APPS - TWINS);
        let puids: Vec<Puid> =
            (0..USERS).filter_map(|user| self.world.any_puid(user, app)).collect();
        let newest = &self.world.newest[app];
        let known = puids.iter().filter_map(|puid| Some((*puid, *newest.get(puid)?))).collect();
        let work = self.service(server).query(self.world.apps[app], puids);
        self.start_command(server, Command::Query { app, known }, work);
    }

    /// Lets an AppService subscribe, unless it has a socket. Mostly it resumes.
    pub(super) fn subscribe(&mut self, reader: usize, server: usize) {
        let app = app_of(reader);
        let resumes = self.rng.below(3) > 0;
        let known = &mut self.world.readers[reader];
        if known.is_busy || known.socket.is_some() {
            return;
        }
        known.is_busy = true;
        if !resumes {
            known.cursor = None;
        }
        let cursor = known.cursor.clone();
        let work =
            self.service(server).subscribe(self.world.apps[app], self.world.keys[app], cursor);
        self.start_command(server, Command::Subscribe { reader }, work);
    }

    /// Closes the sockets of servers that stop, one after the other, and removes those that have
    /// stopped.
    pub(super) fn remove_stopped(&mut self) {
        let stopping = self.servers.iter().filter(|it| it.1.is_stopping());
        let stopping: Vec<usize> = stopping.map(|it| *it.0).collect();
        for server in stopping {
            if self.rng.below(10) == 0 {
                self.close_one_of(server);
            }
            let is_over = self.servers.get_mut(&server).is_some_and(SimulatedServer::has_stopped);
            if is_over {
                self.network.events.add(|| format!("{server}: has stopped"));
                self.servers.remove(&server);
                self.network.remove_client(server, None);
                let aborted = self.world.abort(server);
                self.world.remove_server(server);
                self.forget_aborted(aborted);
            }
        }
    }

    /// Closes a socket of a server that stops.
    pub(super) fn close_one_of(&mut self, server: usize) {
        for device in 0..self.world.devices.len() {
            let known = &mut self.world.devices[device];
            let place = known.sockets.iter().position(|socket| socket.server == server);
            if let Some(place) = place {
                known.forget_targeted(false);
                drop(known.sockets.remove(place));
                return;
            }
        }
        let readers = &mut self.world.readers;
        let is_of = |it: &&mut Application| it.socket.as_ref().is_some_and(|it| it.0 == server);
        readers.iter_mut().filter(is_of).for_each(Application::close);
    }
}
