//! The snapshot that a new socket of an Application gets, by the number of users who are not
//! offline: its time, its cost, and the longest wait of a status meanwhile.

use std::cell::Cell;
use std::time::{Duration, Instant};

use memchr::memmem::Finder;

use super::curve::{Curve, CurvePoint, Growth};
use super::curve_scale::CurveScale;
use super::online::OnlineServer;
use crate::clients::Device;
use crate::filling::{application, signed_in};
use crate::sides::{Side, cost};
use crate::subscribers;

/// The time between two reports of the device that reports meanwhile.
const PACE: Duration = Duration::from_millis(1);
/// A text of all pages of a snapshot but the last one.
const MORE: &str = r#""more":true"#;
/// A text that each user of a snapshot contains exactly once.
const USER: &str = r#""version":"#;

pub(crate) async fn measure(scale: &CurveScale) -> Vec<Curve> {
    let sizes = scale.sizes([1_000, 10_000, 100_000, 300_000]);
    let mut stages = Vec::new();
    for users in sizes {
        stages.push(SnapshotStage::open(users).await);
    }
    let points = || sizes.map(CurvePoint::new).to_vec();
    let (mut micros, mut times, mut waits) = (points(), points(), points());
    for round in 0..=scale.rounds {
        for (place, stage) in stages.iter_mut().enumerate() {
            let taken = stage.take().await;
            if round > 0 {
                micros[place].costs.push(taken.cpu);
                times[place].costs.push(taken.time);
                waits[place].costs.push(stage.longest_wait().await);
            }
        }
    }
    let (size, expected) = ("users who are not offline", Growth::Linear);
    let curve = |name, what, unit, points| Curve { name, what, unit, size, expected, points };
    vec![
        curve("snapshot", "a snapshot", "ms of server CPU", micros),
        curve("snapshot-time", "a snapshot until its last page", "ms", times),
        curve("snapshot-wait", "the longest wait of a status during a snapshot", "ms", waits),
    ]
}

/// A snapshot that was read.
struct TakenSnapshot {
    /// The server's CPU time, in milliseconds.
    cpu: f64,
    /// The time from the request until the last page, in milliseconds.
    time: f64,
}

/// A server with users who are online without a connection, and one device.
struct SnapshotStage {
    server: OnlineServer,
    device: Device,
}

impl SnapshotStage {
    async fn open(users: usize) -> Self {
        let server = OnlineServer::start_with_all_online(users).await;
        let device = Device::connect(server.side(), 0, &signed_in([1])[0]).await;
        Self { server, device }
    }

    async fn take(&self) -> TakenSnapshot {
        let side = self.server.side();
        let (users, cost) = cost(side.process, read_snapshot(side)).await;
        assert_eq!(users, self.server.users, "a snapshot has all users");
        TakenSnapshot { cpu: cost.cpu.as_secs_f64() * 1e3, time: cost.clock.as_secs_f64() * 1e3 }
    }

    /// Returns the longest time until the OK of a status while a snapshot is read, in
    /// milliseconds.
    async fn longest_wait(&mut self) -> f64 {
        let (is_read, side) = (Cell::new(false), self.server.side());
        let read = async {
            read_snapshot(side).await;
            is_read.set(true);
        };
        let report = async {
            let mut longest = Duration::ZERO;
            while !is_read.get() {
                let sent_at = Instant::now();
                self.device.report().await;
                longest = longest.max(sent_at.elapsed());
                tokio::time::sleep(PACE).await;
            }
            longest
        };
        let ((), longest) = tokio::join!(read, report);
        longest.as_secs_f64() * 1e3
    }
}

/// Opens a socket, reads its snapshot, and returns the number of users in it.
async fn read_snapshot(side: Side) -> usize {
    let (more, user) = (Finder::new(MORE), Finder::new(USER));
    let (appid, key) = application(1);
    let mut wire = subscribers::open_with_key(side, 0, (&appid, &key)).await;
    let mut users = 0;
    loop {
        let page = wire.text().await;
        users += user.find_iter(page).count();
        if more.find(page).is_none() {
            return users;
        }
    }
}
