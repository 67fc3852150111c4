//! One user with devices, each behind a fault proxy of its own, who acts at random.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use presence_protocol::CloseCode;
use presence_tests::{FallibleSocket, FaultProxy, SeededRng, Server, SocketEnd, User};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::board::Board;
use super::truth::{APPS, Truth, View};

/// The maximum numbers of frames that a device sends before it reads the replies: mostly 3,
/// sometimes 40.
const BURSTS: [usize; 10] = [3, 3, 3, 3, 3, 3, 3, 3, 3, 40];

/// The grace period: a device that is lost and back within it stays visible.
pub(super) const GRACE: Duration = Duration::from_millis(500);

struct Device {
    name: String,
    wire: FaultProxy,
    socket: Option<FallibleSocket>,
}

pub(super) struct Actor {
    pub(super) user: User,
    pub(super) truth: Truth,
    devices: Vec<Device>,
    pub(super) dice: SeededRng,
    pub(super) board: Arc<Board>,
    said: usize,
}

impl Actor {
    pub(super) async fn new(
        server: &Server,
        user: User,
        board: Arc<Board>,
        mut dice: SeededRng,
    ) -> Self {
        let mut devices = Vec::new();
        for number in 0..dice.between(1, 3) {
            let wire = FaultProxy::to(server).await;
            devices.push(Device { name: format!("device{number}"), wire, socket: None });
        }
        Self { user, truth: Truth::default(), devices, dice, board, said: 0 }
    }

    /// Acts until the phase is over.
    pub(super) async fn act(&mut self) {
        while self.board.goes_on() {
            let place = self.dice.below(self.devices.len());
            match self.dice.below(100) {
                0..20 => self.connect(place).await,
                20..70 => self.report(place).await,
                70..74 => self.cut(place).await,
                74..79 => self.cut_in_flight(place).await,
                79..84 => self.stall(place).await,
                84..88 => self.close(place).await,
                88..91 => self.replace(place).await,
                91..95 => self.decide().await,
                95..97 => self.blink(place).await,
                _ => self.leave_and_return().await,
            }
        }
    }

    /// Connects a device that is not connected. It first repeats its visibility, if it ever set
    /// one, and then reports to all Applications. So its state no longer depends on its grace
    /// period or on earlier frames.
    async fn connect(&mut self, place: usize) {
        let status = self.some_status();
        self.connect_with(place, status).await;
    }

    async fn connect_with(&mut self, place: usize, (status, view): (Value, View)) {
        if self.devices[place].socket.is_some() {
            return;
        }
        let name = self.devices[place].name.clone();
        let mut frames = Vec::new();
        if let Some(apps) = self.truth.visibility(&name) {
            self.truth.narrowed(&name, &apps);
            frames.push(json!({"type": "visibility", "application_ids": self.ids(&apps)}));
        }
        self.truth.reported(&name, view, None);
        frames.push(status);
        frames[0]["token"] = self.user.token.clone().into();
        frames[0]["device"] = name.into();
        let address = self.devices[place].wire.address();
        let mut socket = FallibleSocket::open(address, "/presence", false).await.unwrap();
        socket.send_all(&frames).await.unwrap();
        self.hear_all(&mut socket, frames.len()).await;
        self.devices[place].socket = Some(socket);
    }

    /// Sends some frames, and waits until all were accepted.
    async fn report(&mut self, place: usize) {
        let Some(mut socket) = self.devices[place].socket.take() else { return };
        let frames = self.some_frames(place, true);
        socket.send_all(&frames).await.unwrap();
        self.hear_all(&mut socket, frames.len()).await;
        self.devices[place].socket = Some(socket);
    }

    async fn hear_all(&self, socket: &mut FallibleSocket, count: usize) {
        for _ in 0..count {
            let heard = socket.receive_soon().await;
            assert_eq!(heard, Ok(json!({"result": "OK"})), "{}", self.user.name);
        }
        self.board.frames(count);
    }

    /// Breaks a device's connection.
    pub(super) async fn cut(&mut self, place: usize) {
        let reset = self.dice.chance(50);
        let device = &mut self.devices[place];
        let Some(mut socket) = device.socket.take() else { return };
        if reset {
            device.wire.reset();
        } else {
            device.wire.hang_up();
        }
        while socket.receive_soon().await.is_ok() {}
        self.truth.lost(&device.name);
        self.board.disturbed();
    }

    /// Breaks a device's connection while frames are in flight. Whether they were accepted does not
    /// matter once the device is back or its grace period is over.
    async fn cut_in_flight(&mut self, place: usize) {
        if self.devices[place].socket.is_none() {
            return;
        }
        let frames = self.doubtful_frames(place);
        let stalled = self.dice.chance(30);
        let device = &mut self.devices[place];
        if stalled {
            device.wire.stall();
        }
        let said = device.socket.as_mut().unwrap().send_all(&frames).await;
        said.unwrap();
        self.board.frames(frames.len());
        self.cut(place).await;
        if self.dice.chance(50) {
            self.connect(place).await;
        }
    }

    /// Stops all traffic for a moment.
    async fn stall(&mut self, place: usize) {
        let Some(mut socket) = self.devices[place].socket.take() else { return };
        self.devices[place].wire.stall();
        let frames = self.some_frames(place, true);
        socket.send_all(&frames).await.unwrap();
        self.devices[place].wire.carry();
        self.hear_all(&mut socket, frames.len()).await;
        self.devices[place].socket = Some(socket);
        self.board.disturbed();
    }

    /// Closes a device's connection.
    pub(super) async fn close(&mut self, place: usize) {
        let Some(socket) = self.devices[place].socket.take() else { return };
        socket.close().await;
        self.truth.closed(&self.devices[place].name);
        self.board.disturbed();
    }

    /// Opens a second connection of the same device, which replaces the first.
    async fn replace(&mut self, place: usize) {
        let Some(mut older) = self.devices[place].socket.take() else { return };
        self.connect(place).await;
        let replaced = SocketEnd::Closed(Some(CloseCode::Replaced.number()));
        assert_eq!(older.receive_soon().await, Err(replaced), "{}", self.user.name);
        self.board.disturbed();
    }

    /// Makes, pauses, resumes or revokes a grant.
    async fn decide(&mut self) {
        let app = self.dice.below(APPS);
        match self.truth.grant(app).map(|grant| grant.paused) {
            None => self.grant(app).await,
            Some(_) if self.dice.chance(30) => self.revoke(app).await,
            Some(paused) => self.pause(app, !paused).await,
        }
    }

    pub(super) async fn grant(&mut self, app: usize) {
        let uid = self.user.grant(&self.board.applications[app]).await.to_string();
        self.board.granted[app].lock().unwrap().insert(uid.clone());
        self.truth.granted_to(app, uid);
        self.board.disturbed();
    }

    pub(super) async fn pause(&mut self, app: usize, paused: bool) {
        self.user.pause(&self.board.applications[app], paused).await;
        self.truth.paused(app, paused);
        self.board.disturbed();
    }

    async fn revoke(&mut self, app: usize) {
        self.user.revoke(&self.board.applications[app]).await;
        self.truth.revoked(app);
        self.board.disturbed();
    }

    /// Makes a visible user go offline in one way or another, and come back: the Application
    /// receives that exactly once.
    async fn leave_and_return(&mut self) {
        let app = self.dice.below(APPS);
        let Some(grant) = self.truth.grant(app).cloned() else { return };
        let view = self.truth.shown_to(app);
        if view.is_offline() {
            return;
        }
        let watcher = Arc::clone(&self.board.steady[app]);
        self.is_seen(app).await;
        let before = watcher.look(|belief| belief.gone(&grant.uid));
        let paused = self.dice.chance(30);
        if paused {
            self.pause(app, true).await;
        } else {
            self.all_go().await;
        }
        let who = &self.user.name;
        let away = watcher.comes_to(|belief| belief.of(&grant.uid).is_offline()).await;
        assert!(away, "{who} is not seen to be away");
        if paused {
            self.pause(app, false).await;
        } else {
            self.connect(0).await;
        }
        self.is_seen(app).await;
        let who = &self.user.name;
        let gone = watcher.look(|belief| belief.gone(&grant.uid)) - before;
        assert_eq!(gone, 1, "{who} went away once");
        self.board.farewells.fetch_add(1, Ordering::Relaxed);
    }

    /// Loses a device that comes back within its grace period: the Application does not receive
    /// that the user went offline.
    async fn blink(&mut self, place: usize) {
        let (app, name) = (self.dice.below(APPS), self.devices[place].name.clone());
        let hidden =
            self.truth.shown_to(app).is_offline() || self.truth.visibility(&name).is_some();
        if hidden || self.devices[place].socket.is_none() {
            return;
        }
        self.is_seen(app).await;
        let uid = self.truth.grant(app).unwrap().uid.clone();
        let watcher = Arc::clone(&self.board.steady[app]);
        let (before, lost_at) = (watcher.look(|belief| belief.gone(&uid)), Instant::now());
        self.cut(place).await;
        let back = (json!({"status": "online"}), View::new("online", None));
        self.connect_with(place, back).await;
        let in_time = lost_at.elapsed() < GRACE.mul_f32(0.8);
        self.is_seen(app).await;
        let gone = watcher.look(|belief| belief.gone(&uid)) - before;
        if in_time {
            assert_eq!(gone, 0, "{} was back in time", self.user.name);
            self.board.blinks.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until the Application sees the user as the model expects.
    async fn is_seen(&self, app: usize) {
        let (watcher, view) = (&self.board.steady[app], self.truth.shown_to(app));
        let uid = &self.truth.grant(app).unwrap().uid;
        if !watcher.comes_to(|belief| belief.of(uid) == view).await {
            let believed = watcher.look(|belief| belief.of(uid));
            let who = &self.user.name;
            panic!("{who} is seen by {app} as {believed:?}, but is {view:?}: {:?}", self.truth);
        }
    }

    async fn all_go(&mut self) {
        let cut = self.dice.chance(40);
        for place in 0..self.devices.len() {
            if cut { self.cut(place).await } else { self.close(place).await }
        }
    }

    /// Returns random frames of a device, and records them in the model.
    fn some_frames(&mut self, place: usize, may_narrow: bool) -> Vec<Value> {
        let most = *self.dice.pick(&BURSTS);
        let count = self.dice.between(1, most);
        let device = self.devices[place].name.clone();
        let mut frame = |_| {
            let kind = self.dice.below(100);
            if kind < 5 && may_narrow {
                let apps = self.some_apps();
                self.truth.narrowed(&device, &apps);
                return json!({"type": "visibility", "application_ids": self.ids(&apps)});
            }
            let (mut frame, view) = self.some_status();
            let only = (kind < 25).then(|| self.some_apps());
            if let Some(apps) = &only {
                frame["application_ids"] = self.ids(apps);
            }
            self.truth.reported(&device, view, only.as_deref());
            frame
        };
        (0..count).map(&mut frame).collect()
    }

    /// Returns frames that may be accepted or not. The visibility of a device outlives its
    /// connection, so it is not among them.
    fn doubtful_frames(&mut self, place: usize) -> Vec<Value> {
        self.some_frames(place, false)
    }

    fn some_status(&mut self) -> (Value, View) {
        self.said += 1;
        let status = *self.dice.pick(&["online", "online", "online", "unavailable", "offline"]);
        let text = match self.dice.below(4) {
            0 => String::new(),
            1 => "the same".to_owned(),
            _ => format!("{} {}", self.user.name, self.said),
        };
        (json!({"status": status, "message": text}), View::new(status, Some(&text)))
    }

    fn some_apps(&mut self) -> Vec<usize> {
        (0..APPS).filter(|_| self.dice.chance(80)).collect()
    }

    fn ids(&self, apps: &[usize]) -> Value {
        let id = |app: &usize| Value::from(self.board.applications[*app].appid.clone());
        apps.iter().map(id).collect()
    }
}
