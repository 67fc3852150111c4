//! A status until its OK: connections that each send one, wait for the answer, and send the next.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::clients::{self, Device, SignedInUser};
use crate::report::{Finding, Judged, Round, Thresholds, p99};
use crate::scale::Scale;
use crate::sides::{Cost, Side, Sides, cost};
use crate::system::Process;

pub(crate) async fn measure(scale: &Scale) -> Vec<Finding> {
    let sides = Sides::start().await;
    let owner = sides.server.sign_in("developer").await;
    let application = sides.server.application(&owner).await;
    let users =
        clients::sign_in_users(&sides.server, &application, "user", scale.connections).await;
    let mut baseline = open(sides.baseline("/ack"), &users).await;
    let mut tungstenite = open(sides.tungstenite("/ack"), &users).await;
    let mut measured = open(sides.measured(), &users).await;
    // A first round that is not counted.
    for side in [&mut baseline, &mut tungstenite, &mut measured] {
        side.run_round(scale.round / 4).await;
    }
    let mut rounds = Vec::new();
    for _ in 0..scale.rounds {
        rounds.push(Round {
            baseline: baseline.run_round(scale.round).await,
            tungstenite: tungstenite.run_round(scale.round).await,
            measured: measured.run_round(scale.round).await,
        });
    }
    let pairs = |value: fn(&StatusRound) -> f64| Round::measured(&rounds, value);
    let per_core_second = |round: &StatusRound| round.cost.per_core_second(round.operations);
    vec![
        Finding {
            what: "status → OK",
            unit: "operations a server core second",
            rounds: pairs(per_core_second),
            judged: Judged::Ratio(Thresholds::at_least(0.5, 0.9)),
        },
        Round::beside_tungstenite(
            &rounds,
            ("status → OK, beside tokio-tungstenite", "operations a server core second"),
            per_core_second,
            Judged::Ratio(Thresholds::at_least(0.75, 0.9)),
        ),
        Finding {
            what: "status → OK, by the clock",
            unit: "operations/s",
            rounds: pairs(|round| round.operations as f64 / round.cost.clock.as_secs_f64()),
            judged: Judged::Nothing,
        },
        Finding {
            what: "status → OK, p99",
            unit: "µs",
            rounds: pairs(|round| round.p99),
            judged: Judged::Ratio(Thresholds::at_most(2.0, 1.3)),
        },
    ]
}

/// Connects the devices of one side.
async fn open(side: Side, users: &[SignedInUser]) -> StatusSide {
    StatusSide { process: side.process, devices: clients::devices(side, users).await }
}

/// Connections of one side.
pub(crate) struct StatusSide {
    pub(crate) process: Process,
    pub(crate) devices: Vec<Device>,
}

pub(crate) struct StatusRound {
    pub(crate) operations: u64,
    pub(crate) cost: Cost,
    p99: f64,
}

impl StatusSide {
    /// Lets each device report as soon as its last report was answered.
    pub(crate) async fn run_round(&mut self, time: Duration) -> StatusRound {
        let until = Instant::now() + time;
        let mut tasks: JoinSet<_> =
            self.devices.drain(..).map(|it| report_until(it, until)).collect();
        let mut micros = Vec::new();
        let ((), cost) = cost(self.process, async {
            while let Some(done) = tasks.join_next().await {
                let (device, mut latencies) = done.unwrap();
                self.devices.push(device);
                micros.append(&mut latencies);
            }
        })
        .await;
        StatusRound { operations: micros.len() as u64, cost, p99: p99(&mut micros) }
    }
}

async fn report_until(mut device: Device, until: Instant) -> (Device, Vec<f64>) {
    let mut micros = Vec::new();
    let mut sent_at = Instant::now();
    while sent_at < until {
        device.report().await;
        let answered = Instant::now();
        micros.push((answered - sent_at).as_secs_f64() * 1e6);
        sent_at = answered;
    }
    (device, micros)
}
