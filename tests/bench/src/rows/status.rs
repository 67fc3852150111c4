//! A status until its OK: connections that each send one, wait for the answer, and send the next.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::crowd::{self, Device, Person};
use crate::report::{Bar, Finding, Judged, Pair, p99};
use crate::scale::Scale;
use crate::sides::{Cost, Side, Sides, cost};

pub(crate) async fn measure(scale: &Scale) -> Vec<Finding> {
    let sides = Sides::start().await;
    let owner = sides.server.sign_in("developer").await;
    let application = sides.server.application(&owner).await;
    let people = crowd::people(&sides.server, &application, "user", scale.connections).await;
    let mut floor = Loops::open(sides.floor("/ack"), &people).await;
    let mut ours = Loops::open(sides.ours(), &people).await;
    // A first round that is not counted.
    floor.turn(scale.round / 4).await;
    ours.turn(scale.round / 4).await;
    let mut rounds = Vec::new();
    for _ in 0..scale.rounds {
        rounds.push((floor.turn(scale.round).await, ours.turn(scale.round).await));
    }
    let pairs = |value: fn(&Turn) -> f64| {
        rounds.iter().map(|(floor, ours)| Pair::new(value(floor), value(ours))).collect()
    };
    vec![
        Finding {
            what: "status → OK",
            unit: "operations a server core second",
            rounds: pairs(|turn| turn.cost.per_core_second(turn.operations)),
            judged: Judged::Ratio(Bar::at_least(0.75, 0.9)),
        },
        Finding {
            what: "status → OK, by the clock",
            unit: "operations/s",
            rounds: pairs(|turn| turn.operations as f64 / turn.cost.clock.as_secs_f64()),
            judged: Judged::Nothing,
        },
        Finding {
            what: "status → OK, p99",
            unit: "µs",
            rounds: pairs(|turn| turn.p99),
            judged: Judged::Ratio(Bar::at_most(2.0, 1.3)),
        },
    ]
}

/// Connections of one side.
struct Loops {
    side: Side,
    devices: Vec<Device>,
}

struct Turn {
    operations: u64,
    cost: Cost,
    p99: f64,
}

impl Loops {
    async fn open(side: Side, people: &[Person]) -> Self {
        Self { side, devices: crowd::devices(side, people).await }
    }

    async fn turn(&mut self, time: Duration) -> Turn {
        let until = Instant::now() + time;
        let mut tasks: JoinSet<_> = self.devices.drain(..).map(|it| ask(it, until)).collect();
        let mut micros = Vec::new();
        let ((), cost) = cost(self.side.process, async {
            while let Some(done) = tasks.join_next().await {
                let (device, mut took) = done.unwrap();
                self.devices.push(device);
                micros.append(&mut took);
            }
        })
        .await;
        Turn { operations: micros.len() as u64, cost, p99: p99(&mut micros) }
    }
}

async fn ask(mut device: Device, until: Instant) -> (Device, Vec<f64>) {
    let mut micros = Vec::new();
    let mut asked = Instant::now();
    while asked < until {
        device.report().await;
        let answered = Instant::now();
        micros.push((answered - asked).as_secs_f64() * 1e6);
        asked = answered;
    }
    (device, micros)
}
