//! The regular work of the server on what has expired in a day: notifications, sessions and
//! idempotency keys. All of it expires at once here, which is the worst case.

use std::path::Path;
use std::time::{Duration, Instant};

use presence_tests::Server;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, SqliteConnection};

use super::curve::{Curve, CurvePoint, Growth};
use super::curve_scale::CurveScale;
use super::housekeeping_rows::{EXPIRED_KEYS, EXPIRED_NOTIFICATIONS, EXPIRED_SESSIONS, insert};
use crate::clients::Device;
use crate::filling::{Filling, open, restart, signed_in};
use crate::report::p99;
use crate::sides::{Side, unlimited};

/// The number of users. Each can have a hundred notifications for each of [`GRANTS`] Applications.
const USERS: usize = 2_000;
const GRANTS: usize = 10;
/// The mean time between two passes over the expired notifications, in seconds. By default it is a
/// second, and a pass drops 500, so a million would take half an hour.
const PASS: f64 = 0.02;
/// The time between two reports of a device.
const PACE: Duration = Duration::from_millis(2);
/// The maximum number of rounds: the largest takes a minute. Each round of `purge` removes a fifth
/// of the rows of the smallest database, and the start before them too.
const ROUNDS: usize = 3;

/// The greatest ratio of the cost of a removal from the largest tables to that from the smallest.
/// In a small table many removed rows share a page of an index, in a large one each has its own.
const PAGES: f64 = 5.0;

pub(crate) async fn measure(scale: &CurveScale) -> Vec<Curve> {
    let sizes = scale.sizes([10_000, 100_000, 1_000_000]);
    let (mut servers, points) = (Vec::new(), || sizes.map(CurvePoint::new).to_vec());
    for _ in sizes {
        servers.push(HousekeepingServer::start().await);
    }
    let (mut expiry, mut waits, mut purge) = (points(), points(), points());
    for _ in 0..scale.rounds.min(ROUNDS) {
        for (place, server) in servers.iter_mut().enumerate() {
            let (cpu, wait) = server.expire(sizes[place]).await;
            expiry[place].costs.push(cpu);
            waits[place].costs.push(wait);
        }
    }
    // The smallest is filled last, so that it loses no rows while others are filled.
    for (place, server) in servers.iter_mut().enumerate().rev() {
        server.fill_sessions_and_keys(sizes[place]).await;
    }
    for server in &mut servers {
        server.restart_with(&[]).await;
    }
    for round in 1..=scale.rounds.min(ROUNDS) {
        let minute = scale.minute;
        let costs = servers.iter().map(|server| server.purge(round, minute));
        let costs = futures_util::future::join_all(costs).await;
        for (place, cost) in costs.into_iter().enumerate() {
            purge[place].costs.push(cost);
        }
    }
    let curve = |name, what, unit, (size, expected), points| Curve {
        name,
        what,
        unit,
        size,
        expected,
        points,
    };
    let (notifications, rows) = ("expired notifications", "expired sessions, and as many keys");
    vec![
        curve(
            "expiry",
            "the end of all notifications of a day",
            "s of server CPU",
            (notifications, Growth::Linear),
            expiry,
        ),
        curve("expiry-wait", "a status meanwhile, p99", "ms", (notifications, Growth::Flat), waits),
        curve(
            "purge",
            "the removal of a minute: at most 2,000 sessions and 2,000 keys",
            "ms of server CPU",
            (rows, Growth::AtMostTimes(PAGES)),
            purge,
        ),
    ]
}

/// A server that is restarted with expired rows.
struct HousekeepingServer {
    server: Server,
    started_at: Instant,
}

impl HousekeepingServer {
    async fn start() -> Self {
        let filling = Filling { users: USERS, applications: GRANTS, grants: GRANTS };
        let server = filling.start(unlimited().with("settle-seconds", PASS), &[1]).await;
        Self { server, started_at: Instant::now() }
    }

    /// Lets notifications expire. Returns the CPU time in seconds, and the 99th percentile of the
    /// time until the OK of a status meanwhile, in milliseconds.
    async fn expire(&mut self, count: usize) -> (f64, f64) {
        self.restart_with(&[(EXPIRED_NOTIFICATIONS, count)]).await;
        let process = Side::of(&self.server).process;
        let mut device = Device::connect(Side::of(&self.server), 0, &signed_in([1])[0]).await;
        let mut database = open_to_read(&self.server.database()).await;
        // Some have expired before this.
        let (left, before) = (count_notifications(&mut database).await, process.cpu());
        let mut millis = Vec::new();
        loop {
            let sent_at = Instant::now();
            device.report().await;
            millis.push(sent_at.elapsed().as_secs_f64() * 1e3);
            if !has_notifications(&mut database).await {
                break;
            }
            tokio::time::sleep(PACE).await;
        }
        let cpu = process.cpu().saturating_sub(before).as_secs_f64() / left.max(1) as f64;
        database.close().await.unwrap();
        (cpu * count as f64, p99(&mut millis))
    }

    async fn fill_sessions_and_keys(&mut self, count: usize) {
        self.restart_with(&[(EXPIRED_SESSIONS, count), (EXPIRED_KEYS, count)]).await;
    }

    /// Returns the CPU time of the removal at the end of a minute after the start, beside the time
    /// of an idle server, in milliseconds.
    async fn purge(&self, number: usize, minute: Duration) -> f64 {
        let process = Side::of(&self.server).process;
        let (end, window) = (minute * u32::try_from(number).unwrap(), minute / 30);
        let before = [window * 3 / 2, window / 2].map(|time| end.saturating_sub(time));
        let mut times = Vec::new();
        for at in before.into_iter().chain([end + window / 2]) {
            tokio::time::sleep_until((self.started_at + at).into()).await;
            times.push(process.cpu().as_secs_f64() * 1e3);
        }
        (times[2] - times[1]) - (times[1] - times[0])
    }

    async fn restart_with(&mut self, rows: &[(&str, usize)]) {
        self.server.terminate().await;
        let mut database = open(&self.server.database()).await;
        for (statement, count) in rows {
            let statement = insert(statement, *count, USERS * GRANTS);
            database.execute(AssertSqlSafe(statement)).await.unwrap();
        }
        database.close().await.unwrap();
        restart(&mut self.server).await;
        self.started_at = Instant::now();
    }
}

async fn open_to_read(file: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(file).read_only(true).connect().await.unwrap()
}

async fn has_notifications(database: &mut SqliteConnection) -> bool {
    database.fetch_optional("SELECT 1 FROM notifications LIMIT 1").await.unwrap().is_some()
}

async fn count_notifications(database: &mut SqliteConnection) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM notifications").fetch_one(database).await.unwrap()
}
