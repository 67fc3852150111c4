//! One user with devices, each behind a fault proxy of its own, who acts at random.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use presence_protocol::CloseCode;
use presence_tests::{FallibleSocket, FaultProxy, SeededRng, Server, SocketEnd, User};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::expected::{APPS, ExpectedUser, VisibleStatus};
use super::shared::SharedState;

/// The maximum numbers of frames that a device sends before it reads the replies: mostly 3,
/// sometimes 40.
const BURSTS: [usize; 10] = [3, 3, 3, 3, 3, 3, 3, 3, 3, 40];

/// The grace period: a device that is lost and back within it stays visible.
pub(super) const GRACE: Duration = Duration::from_millis(500);

struct SimulatedDevice {
    name: String,
    proxy: FaultProxy,
    socket: Option<FallibleSocket>,
}

pub(super) struct SimulatedUser {
    pub(super) user: User,
    pub(super) expected: ExpectedUser,
    devices: Vec<SimulatedDevice>,
    pub(super) rng: SeededRng,
    pub(super) shared: Arc<SharedState>,
    reports: usize,
}

impl SimulatedUser {
    pub(super) async fn new(
        server: &Server,
        user: User,
        shared: Arc<SharedState>,
        mut rng: SeededRng,
    ) -> Self {
        let mut devices = Vec::new();
        for number in 0..rng.between(1, 3) {
            let proxy = FaultProxy::to(server).await;
            devices.push(SimulatedDevice { name: format!("device{number}"), proxy, socket: None });
        }
        Self { user, expected: ExpectedUser::default(), devices, rng, shared, reports: 0 }
    }

    /// Acts until the phase is over.
    pub(super) async fn act(&mut self) {
        while self.shared.is_running() {
            let index = self.rng.below(self.devices.len());
            match self.rng.below(100) {
                0..20 => self.connect(index).await,
                20..70 => self.report(index).await,
                70..74 => self.break_connection(index).await,
                74..79 => self.break_in_flight(index).await,
                79..84 => self.stall(index).await,
                84..88 => self.close(index).await,
                88..91 => self.replace(index).await,
                91..95 => self.change_grant().await,
                95..97 => self.reconnect_within_grace(index).await,
                _ => self.leave_and_return().await,
            }
        }
    }

    /// Connects a device that is not connected. It first repeats its visibility, if it ever set
    /// one, and then reports to all Applications. So its state no longer depends on its grace
    /// period or on earlier frames.
    async fn connect(&mut self, index: usize) {
        let status = self.some_status();
        self.connect_with(index, status).await;
    }

    async fn connect_with(&mut self, index: usize, (status, view): (Value, VisibleStatus)) {
        if self.devices[index].socket.is_some() {
            return;
        }
        let name = self.devices[index].name.clone();
        let mut frames = Vec::new();
        if let Some(apps) = self.expected.visibility(&name) {
            self.expected.record_visibility(&name, &apps);
            frames.push(json!({"type": "visibility", "application_ids": self.ids(&apps)}));
        }
        self.expected.record_report(&name, view, None);
        frames.push(status);
        frames[0]["token"] = self.user.token.clone().into();
        frames[0]["device"] = name.into();
        let address = self.devices[index].proxy.address();
        let mut socket = FallibleSocket::open(address, "/presence", false).await.unwrap();
        socket.send_all(&frames).await.unwrap();
        self.expect_all_ok(&mut socket, frames.len()).await;
        self.devices[index].socket = Some(socket);
    }

    /// Sends some frames, and waits until all were accepted.
    async fn report(&mut self, index: usize) {
        let Some(mut socket) = self.devices[index].socket.take() else { return };
        let frames = self.some_frames(index, true);
        socket.send_all(&frames).await.unwrap();
        self.expect_all_ok(&mut socket, frames.len()).await;
        self.devices[index].socket = Some(socket);
    }

    async fn expect_all_ok(&self, socket: &mut FallibleSocket, count: usize) {
        for _ in 0..count {
            let reply = socket.receive_soon().await;
            assert_eq!(reply, Ok(json!({"result": "OK"})), "{}", self.user.name);
        }
        self.shared.record_frames(count);
    }

    /// Breaks a device's connection.
    pub(super) async fn break_connection(&mut self, index: usize) {
        let reset = self.rng.chance(50);
        let device = &mut self.devices[index];
        let Some(mut socket) = device.socket.take() else { return };
        if reset {
            device.proxy.reset();
        } else {
            device.proxy.hang_up();
        }
        while socket.receive_soon().await.is_ok() {}
        self.expected.record_loss(&device.name);
        self.shared.record_fault();
    }

    /// Breaks a device's connection while frames are in flight. Whether they were accepted does not
    /// matter once the device is back or its grace period is over.
    async fn break_in_flight(&mut self, index: usize) {
        if self.devices[index].socket.is_none() {
            return;
        }
        let frames = self.doubtful_frames(index);
        let stalled = self.rng.chance(30);
        let device = &mut self.devices[index];
        if stalled {
            device.proxy.stall();
        }
        let sent = device.socket.as_mut().unwrap().send_all(&frames).await;
        sent.unwrap();
        self.shared.record_frames(frames.len());
        self.break_connection(index).await;
        if self.rng.chance(50) {
            self.connect(index).await;
        }
    }

    /// Stops all traffic for a moment.
    async fn stall(&mut self, index: usize) {
        let Some(mut socket) = self.devices[index].socket.take() else { return };
        self.devices[index].proxy.stall();
        let frames = self.some_frames(index, true);
        socket.send_all(&frames).await.unwrap();
        self.devices[index].proxy.resume_traffic();
        self.expect_all_ok(&mut socket, frames.len()).await;
        self.devices[index].socket = Some(socket);
        self.shared.record_fault();
    }

    /// Closes a device's connection.
    pub(super) async fn close(&mut self, index: usize) {
        let Some(socket) = self.devices[index].socket.take() else { return };
        socket.close().await;
        self.expected.record_close(&self.devices[index].name);
        self.shared.record_fault();
    }

    /// Opens a second connection of the same device, which replaces the first.
    async fn replace(&mut self, index: usize) {
        let Some(mut older) = self.devices[index].socket.take() else { return };
        self.connect(index).await;
        let replaced = SocketEnd::Closed(Some(CloseCode::Replaced.number()));
        assert_eq!(older.receive_soon().await, Err(replaced), "{}", self.user.name);
        self.shared.record_fault();
    }

    /// Makes, pauses, resumes or revokes a grant.
    async fn change_grant(&mut self) {
        let app = self.rng.below(APPS);
        match self.expected.grant(app).map(|grant| grant.paused) {
            None => self.grant(app).await,
            Some(_) if self.rng.chance(30) => self.revoke(app).await,
            Some(paused) => self.pause(app, !paused).await,
        }
    }

    pub(super) async fn grant(&mut self, app: usize) {
        let uid = self.user.grant(&self.shared.applications[app]).await.to_string();
        self.shared.granted[app].lock().unwrap().insert(uid.clone());
        self.expected.record_grant(app, uid);
        self.shared.record_fault();
    }

    pub(super) async fn pause(&mut self, app: usize, paused: bool) {
        self.user.pause(&self.shared.applications[app], paused).await;
        self.expected.record_pause(app, paused);
        self.shared.record_fault();
    }

    async fn revoke(&mut self, app: usize) {
        self.user.revoke(&self.shared.applications[app]).await;
        self.expected.record_revocation(app);
        self.shared.record_fault();
    }

    /// Makes a visible user go offline in one way or another, and return: the Application
    /// receives that exactly once.
    async fn leave_and_return(&mut self) {
        let app = self.rng.below(APPS);
        let Some(grant) = self.expected.grant(app).cloned() else { return };
        let view = self.expected.visible_status(app);
        if view.is_offline() {
            return;
        }
        let watcher = Arc::clone(&self.shared.steady[app]);
        self.wait_until_visible(app).await;
        let before = watcher.with_observed(|observed| observed.times_offline(&grant.uid));
        let paused = self.rng.chance(30);
        if paused {
            self.pause(app, true).await;
        } else {
            self.disconnect_all().await;
        }
        let name = &self.user.name;
        let seen_offline =
            watcher.wait_until(|observed| observed.of(&grant.uid).is_offline()).await;
        assert!(seen_offline, "{name} is not seen offline");
        if paused {
            self.pause(app, false).await;
        } else {
            self.connect(0).await;
        }
        self.wait_until_visible(app).await;
        let name = &self.user.name;
        let times_offline =
            watcher.with_observed(|observed| observed.times_offline(&grant.uid)) - before;
        assert_eq!(times_offline, 1, "{name} must be seen offline once");
        self.shared.departures.fetch_add(1, Ordering::Relaxed);
    }

    /// Loses a device that reconnects within its grace period: the Application does not receive
    /// that the user went offline.
    async fn reconnect_within_grace(&mut self, index: usize) {
        let (app, name) = (self.rng.below(APPS), self.devices[index].name.clone());
        let hidden = self.expected.visible_status(app).is_offline()
            || self.expected.visibility(&name).is_some();
        if hidden || self.devices[index].socket.is_none() {
            return;
        }
        self.wait_until_visible(app).await;
        let uid = self.expected.grant(app).unwrap().uid.clone();
        let watcher = Arc::clone(&self.shared.steady[app]);
        let (before, lost_at) =
            (watcher.with_observed(|observed| observed.times_offline(&uid)), Instant::now());
        self.break_connection(index).await;
        let back = (json!({"status": "online"}), VisibleStatus::new("online", None));
        self.connect_with(index, back).await;
        let in_time = lost_at.elapsed() < GRACE.mul_f32(0.8);
        self.wait_until_visible(app).await;
        let times_offline = watcher.with_observed(|observed| observed.times_offline(&uid)) - before;
        if in_time {
            assert_eq!(times_offline, 0, "{} was back within the grace period", self.user.name);
            self.shared.grace_returns.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until the Application sees the user as the model expects.
    async fn wait_until_visible(&self, app: usize) {
        let (watcher, view) = (&self.shared.steady[app], self.expected.visible_status(app));
        let uid = &self.expected.grant(app).unwrap().uid;
        if !watcher.wait_until(|observed| observed.of(uid) == view).await {
            let observed = watcher.with_observed(|observed| observed.of(uid));
            let name = &self.user.name;
            panic!(
                "{name} is seen by {app} as {observed:?}, but {view:?} is expected: {:?}",
                self.expected
            );
        }
    }

    async fn disconnect_all(&mut self) {
        let cut = self.rng.chance(40);
        for index in 0..self.devices.len() {
            if cut { self.break_connection(index).await } else { self.close(index).await }
        }
    }

    /// Returns random frames of a device, and records them in the model.
    fn some_frames(&mut self, index: usize, may_limit: bool) -> Vec<Value> {
        let limit = *self.rng.pick(&BURSTS);
        let count = self.rng.between(1, limit);
        let device = self.devices[index].name.clone();
        let mut frame = |_| {
            let kind = self.rng.below(100);
            if kind < 5 && may_limit {
                let apps = self.some_apps();
                self.expected.record_visibility(&device, &apps);
                return json!({"type": "visibility", "application_ids": self.ids(&apps)});
            }
            let (mut frame, view) = self.some_status();
            let only = (kind < 25).then(|| self.some_apps());
            if let Some(apps) = &only {
                frame["application_ids"] = self.ids(apps);
            }
            self.expected.record_report(&device, view, only.as_deref());
            frame
        };
        (0..count).map(&mut frame).collect()
    }

    /// Returns frames that may be accepted or not. The visibility of a device outlives its
    /// connection, so it is not among them.
    fn doubtful_frames(&mut self, index: usize) -> Vec<Value> {
        self.some_frames(index, false)
    }

    fn some_status(&mut self) -> (Value, VisibleStatus) {
        self.reports += 1;
        let status = *self.rng.pick(&["online", "online", "online", "unavailable", "offline"]);
        let text = match self.rng.below(4) {
            0 => String::new(),
            1 => "the same".to_owned(),
            _ => format!("{} {}", self.user.name, self.reports),
        };
        (json!({"status": status, "message": text}), VisibleStatus::new(status, Some(&text)))
    }

    fn some_apps(&mut self) -> Vec<usize> {
        (0..APPS).filter(|_| self.rng.chance(80)).collect()
    }

    fn ids(&self, apps: &[usize]) -> Value {
        let id = |app: &usize| Value::from(self.shared.applications[*app].appid.clone());
        apps.iter().map(id).collect()
    }
}
