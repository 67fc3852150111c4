//! The statuses of many users to one socket: as many updates as there are statuses, and no backlog.

use std::time::{Duration, Instant};

use presence_tests::Application;
use serde_json::json;
use tokio::task::JoinSet;

use crate::clients::{self, Device, SignedInUser};
use crate::report::{Finding, Judged, Pair, Thresholds};
use crate::scale::Scale;
use crate::sides::{Cost, Side, Sides, cost};
use crate::subscribers::Subscribers;

/// The text of the last status, which marks the end of the updates.
const MARK: &str = "the last one";

pub(crate) async fn measure(scale: &Scale) -> Vec<Finding> {
    let sides = Sides::start().await;
    let owner = sides.server.sign_in("developer").await;
    let application = sides.server.application(&owner).await;
    let users =
        clients::sign_in_users(&sides.server, &application, "user", scale.connections + 1).await;
    let mut baseline = FanInSide::open(sides.baseline("/publish"), &users, &application).await;
    let mut measured = FanInSide::open(sides.measured(), &users, &application).await;
    let mut rounds = Vec::new();
    for _ in 0..scale.rounds {
        rounds.push((baseline.run_round(scale.round).await, measured.run_round(scale.round).await));
    }
    let pairs = |value: &dyn Fn(&FanInRound) -> f64| Pair::of_rounds(&rounds, value);
    let users = scale.connections as f64;
    vec![
        Finding {
            what: "many users → one socket",
            unit: "updates a server core second",
            rounds: pairs(&|round| round.cost.per_core_second(round.received)),
            judged: Judged::Ratio(Thresholds::at_least(0.6, 0.9)),
        },
        Finding {
            what: "many users → one socket, by the clock",
            unit: "updates/s",
            rounds: pairs(&|round| round.received as f64 / round.cost.clock.as_secs_f64()),
            judged: Judged::Nothing,
        },
        Finding {
            what: "many users → one socket, reported updates that arrive",
            unit: "%",
            rounds: pairs(&|round| 100.0 * round.received as f64 / round.reported as f64),
            judged: Judged::Nothing,
        },
        Finding {
            what: "backlog at the end",
            unit: "updates a user",
            rounds: pairs(&|round| round.backlog as f64 / users),
            judged: Judged::Measured(Thresholds::at_most(2.0, 1.0)),
        },
    ]
}

/// The devices of one side, and the one socket.
struct FanInSide {
    side: Side,
    devices: Vec<Device>,
    last: Device,
    subscriber: Subscribers,
}

struct FanInRound {
    reported: u64,
    received: u64,
    /// The number of updates received only after the last OK.
    backlog: u64,
    cost: Cost,
}

impl FanInSide {
    async fn open(side: Side, users: &[SignedInUser], application: &Application) -> Self {
        let mut devices = clients::devices(side, users).await;
        let last = devices.pop().unwrap();
        let mut subscriber = Subscribers::new(side);
        subscriber.grow_to(1, application, MARK).await;
        Self { side, devices, last, subscriber }
    }

    async fn run_round(&mut self, time: Duration) -> FanInRound {
        let before = self.subscriber.received();
        let ((reported, in_time), cost) = cost(self.side.process, async {
            let reported = self.report(Instant::now() + time).await;
            let in_time = self.subscriber.received() - before;
            self.wait_for_all(before + reported).await;
            (reported, in_time)
        })
        .await;
        let received = self.subscriber.received() - before;
        FanInRound { reported, received, backlog: received - in_time, cost }
    }

    async fn report(&mut self, until: Instant) -> u64 {
        let mut tasks: JoinSet<_> = self.devices.drain(..).map(|it| report(it, until)).collect();
        let mut reported = 0;
        while let Some(done) = tasks.join_next().await {
            let (device, reports) = done.unwrap();
            self.devices.push(device);
            reported += reports;
        }
        reported
    }

    /// Waits until all updates were received: for the baseline their number, for the real server
    /// all before a last one with a mark.
    async fn wait_for_all(&mut self, all: u64) {
        if self.side.is_baseline {
            while self.subscriber.received() < all {
                tokio::task::yield_now().await;
            }
            return;
        }
        let marked = self.subscriber.marked();
        self.last
            .send_and_expect_ok(&json!({"status": "online", "message": MARK}).to_string())
            .await;
        while self.subscriber.marked() == marked {
            tokio::task::yield_now().await;
        }
        self.last.send_and_expect_ok(&json!({"status": "unavailable"}).to_string()).await;
    }
}

async fn report(mut device: Device, until: Instant) -> (Device, u64) {
    let mut reports = 0;
    while Instant::now() < until {
        device.report().await;
        reports += 1;
    }
    (device, reports)
}
