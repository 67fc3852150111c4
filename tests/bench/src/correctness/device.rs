//! A device that reports, comes and goes, as long as there is traffic.

use std::sync::Arc;
use std::time::{Duration, Instant};

use presence_tests::{FallibleSocket, SeededRng};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::expectations::Shown;
use super::scene::{PATIENCE, Phase, Scene};
use super::sites::GRACE;

/// An absence that is shorter than this is within the grace time, also on a busy machine.
const SURELY_IN_GRACE: Duration = GRACE.saturating_sub(Duration::from_millis(500));
/// The errno of a storage that does not answer, and that of an outcome that is not known.
const UNAVAILABLE: u64 = 51;

/// The answer to a frame.
enum Answer {
    Accepted,
    Refused(u64),
    /// The connection ended before it, or it did not come.
    None,
}

/// A device of a user.
pub(crate) struct SimulatedDevice {
    scene: Arc<Scene>,
    user: usize,
    rng: SeededRng,
    /// The open socket, with the place of its server.
    socket: Option<(FallibleSocket, usize)>,
    /// The number of the last report.
    number: u64,
    /// The time of the loss of a connection that was not closed.
    lost_at: Option<Instant>,
    /// A flag: the outcome of a report is not known.
    is_doubtful: bool,
    phase: watch::Receiver<Phase>,
}

impl SimulatedDevice {
    pub(crate) fn new(scene: &Arc<Scene>, user: usize, rng: SeededRng) -> Self {
        Self {
            user,
            rng,
            socket: None,
            number: 0,
            lost_at: None,
            is_doubtful: false,
            phase: scene.phase.subscribe(),
            scene: Arc::clone(scene),
        }
    }

    /// Acts, until the run is over.
    pub(crate) async fn run(mut self) {
        loop {
            let phase = *self.phase.borrow_and_update();
            match phase {
                Phase::Traffic => self.act().await,
                Phase::Rest => self.rest().await,
            }
        }
    }

    async fn act(&mut self) {
        let pause = self.rng.below(2 * usize::try_from(self.scene.pace.as_millis()).unwrap());
        if self.wait(Duration::from_millis(u64::try_from(pause).unwrap())).await {
            return;
        }
        if self.socket.is_none() {
            self.connect().await;
            return;
        }
        match self.rng.below(1000) {
            0..40 => {
                self.lose();
                self.pause_below(1000).await;
                self.connect().await;
            }
            40..65 => {
                self.close().await;
                self.pause_below(500).await;
                self.connect().await;
            }
            65..90 => {
                let older = self.socket.take();
                self.connect().await;
                drop(older);
            }
            90..130 => self.report(Shown::Offline).await,
            _ => {
                let shown = self.next_visible();
                self.report(shown).await;
            }
        }
    }

    /// Brings the user into a certain state, and keeps the connection until there is traffic again.
    async fn rest(&mut self) {
        let leaves = self.rng.chance(10);
        while *self.phase.borrow() == Phase::Rest {
            if self.socket.is_none() && (!leaves || self.lost_at.is_some() || self.is_doubtful) {
                self.connect().await;
            } else if self.is_doubtful {
                let shown = self.next_visible();
                self.report(shown).await;
            } else if leaves && self.socket.is_some() {
                self.close().await;
            } else {
                let is_connected = self.socket.is_some();
                self.scene.expectations.change(self.user, |expected| {
                    (expected.is_certain, expected.is_connected) = (true, is_connected);
                });
                self.wait(Duration::from_hours(1)).await;
                self.scene.expectations.change(self.user, |expected| {
                    (expected.is_certain, expected.is_connected) = (false, false);
                });
            }
        }
    }

    /// Receives for some time. Returns true if the socket has ended or the phase has changed.
    async fn wait(&mut self, time: Duration) -> bool {
        let end = tokio::time::Instant::now() + time;
        loop {
            let Some((socket, _)) = &mut self.socket else {
                return tokio::select! {
                    _ = self.phase.changed() => true,
                    () = tokio::time::sleep_until(end) => false,
                };
            };
            let received = tokio::select! {
                received = socket.receive() => received,
                _ = self.phase.changed() => return true,
                () = tokio::time::sleep_until(end) => return false,
            };
            let Ok(frame) = received else {
                self.lose();
                return true;
            };
            self.take_notifications(&frame).await;
        }
    }

    async fn pause_below(&mut self, millis: usize) {
        let pause = self.rng.below(millis);
        sleep(Duration::from_millis(u64::try_from(pause).unwrap())).await;
    }

    fn next_visible(&mut self) -> Shown {
        self.number += 1;
        if self.rng.chance(50) {
            Shown::Online(self.number)
        } else {
            Shown::Unavailable(self.number)
        }
    }

    /// Ends the connection without a close frame.
    fn lose(&mut self) {
        self.socket = None;
        self.lost_at.get_or_insert_with(Instant::now);
    }

    /// Connects to some server with a new report. A device that fails waits a moment.
    async fn connect(&mut self) {
        let place = self.rng.below(self.scene.doors.len());
        let shown = self.next_visible();
        let opening = FallibleSocket::open(self.scene.doors[place], "/presence", false);
        if let Ok(Ok(socket)) = timeout(PATIENCE, opening).await {
            self.socket = Some((socket, place));
            let mut hello = shown.frame(self.number);
            hello["token"] = self.scene.tokens[self.user].clone().into();
            hello["device"] = "phone".into();
            hello["acks"] = true.into();
            if let Answer::Accepted = self.ask(hello).await {
                if self.lost_at.take().is_some_and(|lost_at| lost_at.elapsed() > SURELY_IN_GRACE) {
                    self.scene.expectations.allow_departure(self.user);
                }
                self.is_doubtful = false;
                self.scene.expectations.record_report(self.user, shown);
                return;
            }
        }
        self.is_doubtful = true;
        self.lose();
        self.pause_below(300).await;
    }

    /// Reports, and waits for the answer.
    async fn report(&mut self, shown: Shown) {
        if shown.is_offline() {
            self.scene.expectations.allow_departure(self.user);
            self.number += 1;
        }
        match self.ask(shown.frame(self.number)).await {
            Answer::Accepted => {
                self.is_doubtful = false;
                self.scene.expectations.record_report(self.user, shown);
            }
            Answer::Refused(UNAVAILABLE) => {
                self.is_doubtful = true;
                self.pause_below(300).await;
            }
            Answer::Refused(errno) => {
                self.is_doubtful = true;
                let answer = format!("errno {errno} to a report");
                self.scene.expectations.record_unexpected(answer);
            }
            Answer::None => {
                self.is_doubtful = true;
                self.lose();
            }
        }
    }

    /// Closes the connection in order. If the server does not close it too, the outcome is not
    /// known.
    async fn close(&mut self) {
        self.scene.expectations.allow_departure(self.user);
        let Some((socket, _)) = self.socket.take() else { return };
        if timeout(PATIENCE, socket.close()).await.is_ok() {
            self.scene.expectations.record_report(self.user, Shown::Offline);
        } else {
            self.is_doubtful = true;
        }
    }

    /// Sends a frame, whose `id` is the number of the last report, and waits for its answer.
    async fn ask(&mut self, frame: Value) -> Answer {
        let Some((socket, _)) = &mut self.socket else { return Answer::None };
        if socket.send(&frame).await.is_err() {
            return Answer::None;
        }
        let patience = tokio::time::Instant::now() + PATIENCE;
        loop {
            let Some((socket, _)) = &mut self.socket else { return Answer::None };
            let received = tokio::time::timeout_at(patience, socket.receive()).await;
            let Ok(Ok(answer)) = received else { return Answer::None };
            if answer["id"] == self.number {
                return match answer["errno"].as_u64() {
                    None => Answer::Accepted,
                    Some(errno) => Answer::Refused(errno),
                };
            }
            self.take_notifications(&answer).await;
        }
    }

    /// Records the notifications of a frame, and acknowledges them.
    async fn take_notifications(&mut self, frame: &Value) {
        let Some(notifications) = frame["notifications"].as_array() else { return };
        let ids: Vec<&str> = notifications.iter().filter_map(|it| it["id"].as_str()).collect();
        ids.iter().for_each(|id| self.scene.expectations.record_received(id));
        if let Some((socket, _)) = &mut self.socket {
            // A connection that has ended is noticed by the next frame.
            let _ = socket.send(&json!({"type": "ack", "ids": ids})).await;
        }
    }
}
