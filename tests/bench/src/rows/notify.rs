//! Notifications that are on disk before they are answered. The baseline is the same server without
//! group commit: it commits each by itself. Bare SQLite with one commit for each row is measured
//! too: the same rows by as many senders, and nothing else.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use presence_tests::{Server, ServerOptions};
use serde_json::json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Executor, SqlitePool};
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::clients::{self, SignedInUser};
use crate::report::{Finding, Judged, Pair, Thresholds, p99};
use crate::scale::Scale;
use crate::sides::{Side, cost, start_server, unlimited};
use crate::subscribers;
use crate::system::{Half, Process, run_on};
use crate::wire::{Wire, frame};

const MESSAGE: &str = "Lunch at one? The usual place; bring the plans for the house.";
/// The maximum number of pending notifications of a user, before older ones are dropped.
const QUEUE: u64 = 100;

pub(crate) async fn measure(scale: &Scale) -> Vec<Finding> {
    let mut each = NotifySide::open(unlimited().with("commit-group", 1), scale).await;
    let mut measured = NotifySide::open(unlimited(), scale).await;
    let directory = tempfile::tempdir().unwrap();
    each.send_for(scale.round / 4).await;
    measured.send_for(scale.round / 4).await;
    let mut rounds = Vec::new();
    for round in 0..scale.rounds {
        let file = directory.path().join(format!("{round}.db"));
        let bare = commit_each_apart(&file, scale).await;
        let each = each.send_for(scale.round).await;
        let (measured, cost) = cost(measured.process, measured.send_for(scale.round)).await;
        rounds.push(NotifyRound { bare, each, measured, micros: cost.micros_each(measured.count) });
    }
    let beside = |value: fn(&NotifyRound) -> (f64, f64)| {
        rounds.iter().map(value).map(|(baseline, measured)| Pair::new(baseline, measured)).collect()
    };
    vec![
        Finding {
            what: "durable notify, group commit beside a commit each",
            unit: "notifications/s",
            rounds: beside(|round| (round.each.rate(), round.measured.rate())),
            judged: Judged::Ratio(Thresholds::at_least(12.0, 30.0)),
        },
        Finding {
            what: "durable notify, beside bare SQLite with a commit each",
            unit: "notifications/s",
            rounds: beside(|round| (round.bare.rate(), round.measured.rate())),
            judged: Judged::Nothing,
        },
        Finding {
            what: "durable notify, p99",
            unit: "ms",
            rounds: beside(|round| (round.each.p99, round.measured.p99)),
            judged: Judged::Measured(Thresholds::at_most(100.0, 30.0)),
        },
        Finding {
            what: "durable notify, CPU",
            unit: "µs of server CPU",
            rounds: rounds.iter().map(|round| Pair::alone(round.micros)).collect(),
            judged: Judged::Nothing,
        },
    ]
}

struct NotifyRound {
    bare: SentBatch,
    each: SentBatch,
    measured: SentBatch,
    /// The server's CPU time for each notification, in microseconds.
    micros: f64,
}

/// The notifications of a round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SentBatch {
    count: u64,
    seconds: f64,
    /// The 99th percentile of the time until the answer, in milliseconds.
    pub(crate) p99: f64,
}

impl SentBatch {
    pub(crate) fn rate(&self) -> f64 {
        self.count as f64 / self.seconds
    }
}

/// A server with sockets of an Application.
struct NotifySide {
    process: Process,
    _server: Server,
    senders: Senders,
}

impl NotifySide {
    async fn open(options: ServerOptions, scale: &Scale) -> Self {
        let server = start_server(options).await;
        let senders = Senders::open(&[&server], scale.receivers, scale).await;
        Self { process: Side::of(&server).process, _server: server, senders }
    }

    async fn send_for(&mut self, time: Duration) -> SentBatch {
        self.senders.send_for(time).await
    }
}

/// Sockets of an Application, at one or more servers in turn, each with one notification in flight.
pub(crate) struct Senders {
    wires: Vec<(Wire, usize)>,
    frames: Arc<[Vec<u8>]>,
    /// The maximum number of notifications in a round.
    limit: u64,
}

impl Senders {
    /// Opens the sockets. The notifications are for so many users in turn.
    pub(crate) async fn open(servers: &[&Server], receivers: usize, scale: &Scale) -> Self {
        let server = servers[0];
        let owner = server.sign_in("developer").await;
        let application = server.application(&owner).await;
        let users = clients::sign_in_users(server, &application, "user", receivers).await;
        let mut wires = Vec::with_capacity(scale.senders);
        for number in 0..scale.senders {
            let side = Side::of(servers[number % servers.len()]);
            let wire = subscribers::open(side, number, &application).await;
            wires.push((wire, number));
        }
        let notify = |user: &SignedInUser| {
            let item = json!({"uid": user.uid, "message": MESSAGE, "action": ""});
            frame(&json!({"action": "notify", "notifications": [item]}).to_string())
        };
        let frames = users.iter().map(notify).collect();
        // Below the capacity of the queues, because dropping is not measured here.
        let limit = QUEUE * receivers as u64 / (scale.rounds as u64 + 1) * 9 / 10;
        Self { wires, frames, limit }
    }

    pub(crate) async fn send_for(&mut self, time: Duration) -> SentBatch {
        let (begun, left) = (Instant::now(), Arc::new(AtomicU64::new(self.limit)));
        let count = self.wires.len();
        let mut tasks: JoinSet<_> = self
            .wires
            .drain(..)
            .map(|(wire, next)| {
                let (frames, left) = (Arc::clone(&self.frames), Arc::clone(&left));
                send(wire, (next, count), frames, (begun + time, left))
            })
            .collect();
        let mut millis = Vec::new();
        while let Some(done) = tasks.join_next().await {
            let (wire, next, mut latencies) = done.unwrap();
            self.wires.push((wire, next));
            millis.append(&mut latencies);
        }
        let seconds = begun.elapsed().as_secs_f64();
        SentBatch { count: millis.len() as u64, seconds, p99: p99(&mut millis) }
    }
}

/// Returns true if another notification may be sent.
fn may_go_on(until: Instant, left: &AtomicU64) -> bool {
    let decrement = |left: u64| left.checked_sub(1);
    Instant::now() < until
        && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, decrement).is_ok()
}

async fn send(
    mut wire: Wire,
    (mut next, step): (usize, usize),
    frames: Arc<[Vec<u8>]>,
    (until, left): (Instant, Arc<AtomicU64>),
) -> (Wire, usize, Vec<f64>) {
    let mut millis = Vec::new();
    while may_go_on(until, &left) {
        let sent_at = Instant::now();
        let answer = wire.ask(&frames[next % frames.len()]).await;
        millis.push(sent_at.elapsed().as_secs_f64() * 1e3);
        let taken = answer.starts_with(br#"{"action":"notify","result":"OK""#)
            && memchr::memmem::find(answer, b"KO").is_none();
        assert!(taken, "refused: {}", String::from_utf8_lossy(answer));
        next += step;
    }
    (wire, next, millis)
}

/// Runs [`commit_each`] in another process, on the server's half of the machine.
async fn commit_each_apart(file: &Path, scale: &Scale) -> SentBatch {
    run_on(Half::Server);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("commit-each").arg(file);
    command.args([scale.senders.to_string(), scale.round.as_millis().to_string()]);
    let answer = command.output();
    run_on(Half::Generator);
    let answer = answer.await.unwrap();
    let stdout = String::from_utf8(answer.stdout).unwrap();
    let numbers: Vec<f64> = stdout.split_whitespace().map(|text| text.parse().unwrap()).collect();
    let [sent, seconds, p99] = numbers[..] else {
        panic!("{stdout}{}", String::from_utf8_lossy(&answer.stderr))
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    SentBatch { count: sent as u64, seconds, p99 }
}

/// Commits each row by itself, and prints the number of rows, the seconds, and the 99th percentile
/// in milliseconds.
pub(crate) fn commit_each(file: &str, senders: &str, millis: &str) -> ExitCode {
    let time = Duration::from_millis(millis.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let sent = runtime.block_on(insert_each(file, senders.parse().unwrap(), time));
    println!("{} {} {}", sent.count, sent.seconds, sent.p99);
    ExitCode::SUCCESS
}

async fn insert_each(file: &str, senders: usize, time: Duration) -> SentBatch {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    // A single connection, because SQLite allows only one writer.
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    pool.execute(
        "CREATE TABLE notifications (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, \
         grant_id INTEGER NOT NULL, message TEXT NOT NULL, action TEXT NOT NULL, \
         sent_at INTEGER NOT NULL, expires_at INTEGER NOT NULL); \
         CREATE INDEX by_grant ON notifications (grant_id); \
         CREATE INDEX by_expiry ON notifications (expires_at);",
    )
    .await
    .unwrap();
    let begun = Instant::now();
    let mut tasks: JoinSet<_> =
        (0..senders).map(|sender| insert(pool.clone(), sender, begun + time)).collect();
    let mut millis = Vec::new();
    while let Some(latencies) = tasks.join_next().await {
        millis.append(&mut latencies.unwrap());
    }
    let seconds = begun.elapsed().as_secs_f64();
    SentBatch { count: millis.len() as u64, seconds, p99: p99(&mut millis) }
}

async fn insert(pool: SqlitePool, sender: usize, until: Instant) -> Vec<f64> {
    let mut millis = Vec::new();
    while Instant::now() < until {
        let sent_at = Instant::now();
        let number = millis.len();
        sqlx::query(
            "INSERT INTO notifications (id, grant_id, message, action, sent_at, expires_at) \
             VALUES (?, ?, ?, '', 1786000000000, 1788592000000)",
        )
        .bind(format!("{sender:016x}{number:016x}"))
        .bind(i64::try_from(sender).unwrap())
        .bind(MESSAGE)
        .execute(&pool)
        .await
        .unwrap();
        millis.push(sent_at.elapsed().as_secs_f64() * 1e3);
    }
    millis
}
