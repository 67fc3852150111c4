//! Sockets of an Application that count the updates they receive.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use memchr::memmem::Finder;
use presence_tests::Application;
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::sides::Side;
use crate::wire::{Wire, frame};

/// A text that each update of the real server and of the bare ones contains exactly once.
const UPDATE: &str = r#""version":"#;
/// The time without an update after which nothing more is expected.
const SILENCE: Duration = Duration::from_millis(200);

/// Counters over all sockets.
#[derive(Default)]
struct UpdateCounters {
    received: AtomicU64,
    expected: AtomicU64,
    reached: Notify,
    /// The number of frames that contained the mark.
    marked: AtomicU64,
}

/// Open sockets that count updates. Dropping them closes the sockets.
#[derive(Default)]
pub(crate) struct Subscribers {
    counters: Arc<UpdateCounters>,
    tasks: JoinSet<()>,
}

impl Subscribers {
    /// Opens sockets of a side until there are `count`. Frames that contain `mark` are counted
    /// apart.
    pub(crate) async fn grow_to(
        &mut self,
        side: Side,
        count: usize,
        application: &Application,
        mark: &'static str,
    ) {
        for number in self.tasks.len()..count {
            self.add(open(side, number, application).await, (UPDATE, mark));
        }
        self.settle().await;
    }

    /// Opens a further socket, of any Application, without waiting until nothing more arrives.
    pub(crate) async fn open_one(&mut self, side: Side, application: &Application) {
        self.add(open(side, self.tasks.len(), application).await, (UPDATE, ""));
    }

    /// Adds an open socket. `texts` are the text that each update contains exactly once, and the
    /// mark.
    pub(crate) fn add(&mut self, wire: Wire, texts: (&'static str, &'static str)) {
        self.tasks.spawn(listen(wire, Arc::clone(&self.counters), texts));
    }

    /// Returns the number of open sockets.
    pub(crate) fn sockets(&self) -> usize {
        self.tasks.len()
    }

    /// Returns the number of updates received so far.
    pub(crate) fn received(&self) -> u64 {
        self.counters.received.load(Ordering::Relaxed)
    }

    /// Returns the number of frames that contained the mark.
    pub(crate) fn marked(&self) -> u64 {
        self.counters.marked.load(Ordering::Relaxed)
    }

    /// Sets the number of further updates that [`wait`](Self::wait) waits for.
    pub(crate) fn expect(&self, further: u64) {
        self.counters.expected.store(self.received() + further, Ordering::Relaxed);
    }

    /// Waits until the expected updates were received.
    pub(crate) async fn wait(&self) {
        while self.received() < self.counters.expected.load(Ordering::Relaxed) {
            self.counters.reached.notified().await;
        }
    }

    /// Waits until no more updates arrive.
    pub(crate) async fn settle(&self) {
        loop {
            let before = self.received();
            tokio::time::sleep(SILENCE).await;
            if self.received() == before {
                return;
            }
        }
    }
}

/// Opens a socket of an Application that receives pages.
pub(crate) async fn open(side: Side, number: usize, application: &Application) -> Wire {
    if side.is_bare {
        return Wire::open(side.address, "/app", number, "").await;
    }
    let mut wire = open_with_key(side, number, (&application.appid, &application.api_key)).await;
    let snapshot = wire.text().await;
    assert!(snapshot.starts_with(br#"{"snapshot":true"#), "no snapshot came");
    wire
}

/// Opens a socket of a real server with the id and the key of an Application. The snapshot is not
/// read yet.
pub(crate) async fn open_with_key(side: Side, number: usize, (appid, key): (&str, &str)) -> Wire {
    let path = format!("/myapps/{appid}");
    let head = "sec-websocket-protocol: presence.v1\r\n";
    let mut wire = Wire::open(side.address, &path, number, head).await;
    let auth = json!({"action": "auth", "token": key}).to_string();
    let answer = wire.ask(&frame(&auth)).await;
    assert!(answer.starts_with(br#"{"action":"auth","result":"OK""#), "the key was refused");
    wire
}

async fn listen(
    mut wire: Wire,
    counters: Arc<UpdateCounters>,
    (update, mark): (&'static str, &'static str),
) {
    let (update, mark) = (Finder::new(update), Finder::new(mark));
    loop {
        let text = wire.text().await;
        let further = update.find_iter(text).count() as u64;
        if mark.find(text).is_some() {
            counters.marked.fetch_add(1, Ordering::Relaxed);
        }
        let before = counters.received.fetch_add(further, Ordering::Relaxed);
        let expected = counters.expected.load(Ordering::Relaxed);
        if (before..before + further).contains(&expected.saturating_sub(1)) {
            counters.reached.notify_one();
        }
    }
}
