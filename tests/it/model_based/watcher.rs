//! A socket of an Application that records the updates it receives.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use presence_tests::{Application, FallibleSocket, SocketEnd, TIMEOUT};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

use super::observed::{ConnectionUpdates, ObservedState};

/// The kind of a watcher's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WatcherKind {
    /// The kind of 2013, on one connection for the whole run.
    Plain,
    /// `presence.v1`, on one connection for the whole run.
    Steady,
    /// `presence.v1`, on many connections, each resumed at the position of the one before.
    Resuming,
}

pub(super) struct Watcher {
    pub(super) kind: WatcherKind,
    address: SocketAddr,
    path: String,
    api_key: String,
    observed: Mutex<ObservedState>,
    /// The number of frames received.
    frames: watch::Sender<usize>,
    /// The number of the last mark that was requested, and of the last that was answered.
    marks: (watch::Sender<u64>, watch::Sender<u64>),
    pub(super) resumed: Mutex<usize>,
}

impl Watcher {
    pub(super) fn new(
        kind: WatcherKind,
        address: SocketAddr,
        application: &Application,
    ) -> Arc<Self> {
        Arc::new(Self {
            kind,
            address,
            path: format!("/myapps/{}", application.appid),
            api_key: application.api_key.clone(),
            observed: Mutex::default(),
            frames: watch::Sender::new(0),
            marks: (watch::Sender::new(0), watch::Sender::new(0)),
            resumed: Mutex::new(0),
        })
    }

    /// Reads the received state.
    pub(super) fn with_observed<T>(&self, with_observed: impl FnOnce(&ObservedState) -> T) -> T {
        with_observed(&self.observed.lock().unwrap())
    }

    /// Waits until the received state matches. Returns false if it does not in time.
    pub(super) async fn wait_until(&self, condition: impl Fn(&ObservedState) -> bool) -> bool {
        let mut frames = self.frames.subscribe();
        timeout(TIMEOUT, frames.wait_for(|_| self.with_observed(&condition))).await.is_ok()
    }

    /// Waits until all updates in flight have arrived.
    pub(super) async fn wait_for_all_updates(&self) {
        let mark = *self.marks.0.borrow() + 1;
        self.marks.0.send_replace(mark);
        let mut answered = self.marks.1.subscribe();
        let reply = timeout(TIMEOUT, answered.wait_for(|answered| *answered >= mark)).await;
        drop(reply.unwrap_or_else(|_| panic!("{:?}: the mark was not answered", self.kind)));
    }

    /// Reconnects and receives, without an end.
    pub(super) async fn watch(self: Arc<Self>) {
        let mut cursor = None;
        loop {
            let ended = self.watch_once(&mut cursor).await;
            assert!(self.kind == WatcherKind::Resuming, "{:?} has ended: {ended:?}", self.kind);
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
        let mut connection = ConnectionUpdates::default();
        let mut requested = self.marks.0.subscribe();
        requested.mark_changed();
        loop {
            tokio::select! {
                frame = socket.receive() => match frame {
                    Ok(frame) => self.handle_frame(&frame, &mut connection, cursor),
                    Err(ended) => return ended,
                },
                changed = requested.changed() => {
                    changed.unwrap();
                    let mark = *requested.borrow_and_update();
                    let query = json!({"action": "query", "uids": [], "id": mark});
                    if let Err(ended) = socket.send(&query).await {
                        return ended;
                    }
                }
            }
        }
    }

    async fn open(&self, cursor: Option<&str>) -> Result<FallibleSocket, SocketEnd> {
        let mut socket =
            FallibleSocket::open(self.address, &self.path, self.kind != WatcherKind::Plain).await?;
        let auth = json!({"action": "auth", "token": self.api_key, "cursor": cursor});
        socket.send(&auth).await?;
        let answer = socket.receive().await?;
        assert_eq!(answer, json!({"action": "auth", "result": "OK"}));
        Ok(socket)
    }

    fn handle_frame(
        &self,
        frame: &Value,
        connection: &mut ConnectionUpdates,
        cursor: &mut Option<String>,
    ) {
        if frame["action"] == "query" {
            let mark = frame["id"].as_u64().unwrap();
            // By the first mark, a socket that does not resume has received all users.
            if mark > 0 && self.kind != WatcherKind::Resuming {
                connection.mark_rest_offline();
            }
            self.marks.1.send_replace(mark);
            return;
        }
        assert_eq!(
            frame["gap"],
            Value::Null,
            "no update may be lost within the retention time: {frame}"
        );
        assert!(frame["snapshot"].is_null() || cursor.is_none(), "not resumed: {frame}");
        let mut observed = self.observed.lock().unwrap();
        match frame["presence"].as_array() {
            Some(updates) => updates.iter().for_each(|update| observed.record(connection, update)),
            None => observed.record(connection, frame),
        }
        drop(observed);
        if let Some(position) = frame["cursor"].as_str() {
            *cursor = Some(position.to_owned());
        }
        self.frames.send_modify(|count| *count += 1);
    }
}
