//! A socket of an Application that records the updates it receives.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use presence_tests::{Application, FallibleSocket, SocketEnd, TIMEOUT};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

use super::belief::{Belief, Hearing};

/// The form of a watcher's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The form of 2013, on one connection for the whole run.
    Plain,
    /// `presence.v1`, on one connection for the whole run.
    Steady,
    /// `presence.v1`, on many connections, each resumed at the position of the one before.
    Resuming,
}

pub(super) struct Watcher {
    pub(super) form: Form,
    address: SocketAddr,
    path: String,
    api_key: String,
    belief: Mutex<Belief>,
    /// The number of frames received.
    heard: watch::Sender<usize>,
    /// The number of the last mark that was requested, and of the last that was answered.
    marks: (watch::Sender<u64>, watch::Sender<u64>),
    pub(super) resumed: Mutex<usize>,
}

impl Watcher {
    pub(super) fn new(form: Form, address: SocketAddr, application: &Application) -> Arc<Self> {
        Arc::new(Self {
            form,
            address,
            path: format!("/myapps/{}", application.appid),
            api_key: application.api_key.clone(),
            belief: Mutex::default(),
            heard: watch::Sender::new(0),
            marks: (watch::Sender::new(0), watch::Sender::new(0)),
            resumed: Mutex::new(0),
        })
    }

    /// Reads the received state.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Belief) -> T) -> T {
        look(&self.belief.lock().unwrap())
    }

    /// Waits until the received state matches. Returns false if it does not in time.
    pub(super) async fn comes_to(&self, wanted: impl Fn(&Belief) -> bool) -> bool {
        let mut heard = self.heard.subscribe();
        timeout(TIMEOUT, heard.wait_for(|_| self.look(&wanted))).await.is_ok()
    }

    /// Waits until all updates in flight have arrived.
    pub(super) async fn has_heard_all(&self) {
        let mark = *self.marks.0.borrow() + 1;
        self.marks.0.send_replace(mark);
        let mut answered = self.marks.1.subscribe();
        let heard = timeout(TIMEOUT, answered.wait_for(|answered| *answered >= mark)).await;
        drop(heard.unwrap_or_else(|_| panic!("{:?}: the mark does not come back", self.form)));
    }

    /// Reconnects and receives, without an end.
    pub(super) async fn watch(self: Arc<Self>) {
        let mut cursor = None;
        loop {
            let ended = self.watch_once(&mut cursor).await;
            assert!(self.form == Form::Resuming, "{:?} has ended: {ended:?}", self.form);
            // Only a fault may end the connection: the server has no reason to.
            assert_eq!(ended, SocketEnd::Lost, "the server has closed a socket");
            *self.resumed.lock().unwrap() += 1;
        }
    }

    async fn watch_once(&self, cursor: &mut Option<String>) -> SocketEnd {
        let opened = self.open(cursor.as_deref()).await;
        let mut socket = match opened {
            Ok(socket) => socket,
            Err(ended) => return ended,
        };
        let mut hearing = Hearing::default();
        let mut asked = self.marks.0.subscribe();
        asked.mark_changed();
        loop {
            tokio::select! {
                frame = socket.receive() => match frame {
                    Ok(frame) => self.take(&frame, &mut hearing, cursor),
                    Err(ended) => return ended,
                },
                changed = asked.changed() => {
                    changed.unwrap();
                    let mark = *asked.borrow_and_update();
                    let query = json!({"action": "query", "uids": [], "id": mark});
                    if let Err(ended) = socket.say(&query).await {
                        return ended;
                    }
                }
            }
        }
    }

    async fn open(&self, cursor: Option<&str>) -> Result<FallibleSocket, SocketEnd> {
        let mut socket =
            FallibleSocket::open(self.address, &self.path, self.form != Form::Plain).await?;
        let auth = json!({"action": "auth", "token": self.api_key, "cursor": cursor});
        socket.say(&auth).await?;
        let answer = socket.receive().await?;
        assert_eq!(answer, json!({"action": "auth", "result": "OK"}));
        Ok(socket)
    }

    fn take(&self, frame: &Value, hearing: &mut Hearing, cursor: &mut Option<String>) {
        if frame["action"] == "query" {
            let mark = frame["id"].as_u64().unwrap();
            // By the first mark, a socket that does not resume has received all users.
            if mark > 0 && self.form != Form::Resuming {
                hearing.rest_is_offline();
            }
            self.marks.1.send_replace(mark);
            return;
        }
        assert_eq!(frame["gap"], Value::Null, "nothing may be lost inside the hour: {frame}");
        assert!(frame["snapshot"].is_null() || cursor.is_none(), "not resumed: {frame}");
        let mut belief = self.belief.lock().unwrap();
        match frame["presence"].as_array() {
            Some(updates) => updates.iter().for_each(|update| belief.take(hearing, update)),
            None => belief.take(hearing, frame),
        }
        drop(belief);
        if let Some(place) = frame["cursor"].as_str() {
            *cursor = Some(place.to_owned());
        }
        self.heard.send_modify(|heard| *heard += 1);
    }
}
