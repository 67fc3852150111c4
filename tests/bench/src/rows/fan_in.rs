//! The statuses of many users to one socket: as many updates as there are statuses, and no backlog.
//! Each user reports as soon as the last status was answered; then all of them one after another,
//! at the same distances, so that there is never more than one update to write.

use std::time::{Duration, Instant};

use presence_tests::Application;
use serde_json::json;
use tokio::task::JoinSet;

use crate::clients::{self, Device, SignedInUser};
use crate::report::{Finding, Judged, Round, Thresholds};
use crate::scale::Scale;
use crate::sides::{Cost, Side, Sides, cost};
use crate::subscribers::Subscribers;
use crate::system::Process;

/// The text of the last status, which marks the end of the updates.
pub(crate) const MARK: &str = "the last one";

pub(crate) async fn measure(scale: &Scale) -> Vec<Finding> {
    let sides = Sides::start().await;
    let owner = sides.server.sign_in("developer").await;
    let application = sides.server.application(&owner).await;
    let users =
        clients::sign_in_users(&sides.server, &application, "user", scale.connections + 1).await;
    let mut baseline = open(sides.baseline("/publish"), &users, &application).await;
    let mut tungstenite = open(sides.tungstenite("/publish"), &users, &application).await;
    let mut measured = open(sides.measured(), &users, &application).await;
    let (mut at_once, mut spread) = (Vec::new(), Vec::new());
    for _ in 0..scale.rounds {
        for (pace, rounds) in [(Pace::Answered, &mut at_once), (Pace::Spread, &mut spread)] {
            rounds.push(Round {
                baseline: baseline.run_round(scale.round, pace).await,
                tungstenite: tungstenite.run_round(scale.round, pace).await,
                measured: measured.run_round(scale.round, pace).await,
            });
        }
    }
    [findings(&at_once, scale), findings_spread(&spread)].concat()
}

fn findings(rounds: &[Round<FanInRound>], scale: &Scale) -> Vec<Finding> {
    let pairs = |value: &dyn Fn(&FanInRound) -> f64| Round::measured(rounds, value);
    let users = scale.connections as f64;
    vec![
        Finding {
            what: "many users → one socket",
            unit: "updates a server core second",
            rounds: pairs(&|round| round.cost.per_core_second(round.received)),
            judged: Judged::Ratio(Thresholds::at_least(0.5, 0.77)),
        },
        Round::beside_tungstenite(
            rounds,
            ("many users → one socket, beside tokio-tungstenite", "updates a server core second"),
            |round| round.cost.per_core_second(round.received),
            Judged::Ratio(Thresholds::at_least(0.6, 0.9)),
        ),
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

fn findings_spread(rounds: &[Round<FanInRound>]) -> Vec<Finding> {
    let (unit, micros) =
        ("µs of server CPU", |round: &FanInRound| round.cost.micros_each(round.received));
    vec![
        Finding {
            what: "an update each 50 µs → one socket",
            unit,
            rounds: Round::measured(rounds, micros),
            judged: Judged::Nothing,
        },
        Round::beside_tungstenite(
            rounds,
            ("an update each 50 µs → one socket, beside tokio-tungstenite", unit),
            micros,
            Judged::Nothing,
        ),
    ]
}

/// The time between two reports.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// Each device reports as soon as it was answered.
    Answered,
    /// The devices report in turn, one each [`DISTANCE`].
    Spread,
}

/// The time between the reports of two devices.
const DISTANCE: Duration = Duration::from_micros(50);

/// Connects the devices of one side, and the one socket.
async fn open(side: Side, users: &[SignedInUser], application: &Application) -> FanInSide {
    let devices = clients::devices(side, users).await;
    let mut subscriber = Subscribers::default();
    subscriber.grow_to(side, 1, application, MARK).await;
    FanInSide::of(side.process, devices, subscriber, !side.is_bare)
}

/// The devices of one side, and the one socket.
pub(crate) struct FanInSide {
    process: Process,
    devices: Vec<Device>,
    last: Device,
    subscriber: Subscribers,
    /// Set for the real server, which may leave out a status that is no longer the newest.
    is_merging: bool,
}

pub(crate) struct FanInRound {
    reported: u64,
    pub(crate) received: u64,
    /// The number of updates received only after the last OK.
    backlog: u64,
    pub(crate) cost: Cost,
}

impl FanInSide {
    /// Uses connected devices. The last one marks the end of a round, if updates are merged.
    pub(crate) fn of(
        process: Process,
        mut devices: Vec<Device>,
        subscriber: Subscribers,
        is_merging: bool,
    ) -> Self {
        let last = devices.pop().unwrap();
        Self { process, devices, last, subscriber, is_merging }
    }

    /// Lets the devices report at this pace.
    pub(crate) async fn run_round(&mut self, time: Duration, pace: Pace) -> FanInRound {
        let before = self.subscriber.received();
        let ((reported, in_time), cost) = cost(self.process, async {
            let reported = match pace {
                Pace::Answered => self.report(Instant::now() + time).await,
                Pace::Spread => self.report_in_turn(time).await,
            };
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

    /// Lets the devices report in turn. Each has its answer before its next turn.
    async fn report_in_turn(&mut self, time: Duration) -> u64 {
        let (begun, mut reported) = (Instant::now(), 0_u32);
        while begun.elapsed() < time {
            let number = reported as usize % self.devices.len();
            while begun.elapsed() < DISTANCE * reported {
                tokio::task::yield_now().await;
            }
            if reported as usize >= self.devices.len() {
                self.devices[number].expect_ok().await;
            }
            self.devices[number].send().await;
            reported += 1;
        }
        for device in self.devices.iter_mut().take(reported as usize) {
            device.expect_ok().await;
        }
        reported.into()
    }

    /// Waits until all updates were received: for a server that merges them all before a last one
    /// with a mark, for others their number.
    async fn wait_for_all(&mut self, all: u64) {
        if !self.is_merging {
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
