//! One status to many sockets of an Application: one in flight, bursts of twenty users at once, and
//! the last delivery of a burst.

use std::time::Instant;

use crate::crowd::{self, Device, Person};
use crate::listeners::Listeners;
use crate::report::{Bar, Finding, Judged, Pair, p99};
use crate::scale::Scale;
use crate::sides::{Cost, Side, Sides, cost};

/// Users whose statuses are in flight at once.
const BURST: usize = 20;
/// The number of users and of sockets in the burst whose last delivery is timed. It is small, so
/// that the CPU is not the bottleneck.
const SMALL: usize = 10;

pub(crate) async fn measure(scale: &Scale) -> Vec<Finding> {
    let sides = Sides::start().await;
    let owner = sides.server.sign_in("developer").await;
    let application = sides.server.application(&owner).await;
    let people = crowd::people(&sides.server, &application, "user", BURST).await;
    let mut floor = Stage::open(sides.floor("/publish"), &people).await;
    let mut ours = Stage::open(sides.ours(), &people).await;

    for stage in [&mut floor, &mut ours] {
        stage.listeners.grow_to(SMALL, &application, "nothing").await;
    }
    let small = both(&mut floor, &mut ours, (SMALL, 2 * scale.turns), scale.rounds).await;
    for stage in [&mut floor, &mut ours] {
        stage.listeners.grow_to(scale.sockets, &application, "nothing").await;
    }
    let single = both(&mut floor, &mut ours, (1, scale.turns), scale.rounds).await;
    let burst = both(&mut floor, &mut ours, (BURST, scale.turns / 2), scale.rounds).await;

    let pairs = |rounds: &[(Turns, Turns)], value: fn(&Turns) -> f64| -> Vec<Pair> {
        rounds.iter().map(|(floor, ours)| Pair::new(value(floor), value(ours))).collect()
    };
    vec![
        Finding {
            what: "one status → 100 sockets",
            unit: "µs of server CPU a delivery",
            rounds: pairs(&single, |turns| turns.cost.micros_each(turns.deliveries)),
            judged: Judged::Ratio(Bar::at_most(1.3, 1.1)),
        },
        Finding {
            what: "one status → 100 sockets, the last, p99",
            unit: "ms",
            rounds: pairs(&single, |turns| turns.p99),
            judged: Judged::Nothing,
        },
        Finding {
            what: "20 statuses at once → 100 sockets",
            unit: "µs of server CPU a delivery",
            rounds: pairs(&burst, |turns| turns.cost.micros_each(turns.deliveries)),
            judged: Judged::Ours(Bar::at_most(1.0, 0.5)),
        },
        Finding {
            what: "10 statuses at once → 10 sockets, the last, p99",
            unit: "ms",
            rounds: pairs(&small, |turns| turns.p99),
            judged: Judged::Ours(Bar::at_most(5.0, 1.0)),
        },
    ]
}

/// Measures rounds of both sides with this number of users at once and of turns in a round.
async fn both(
    floor: &mut Stage,
    ours: &mut Stage,
    (users, turns): (usize, usize),
    rounds: usize,
) -> Vec<(Turns, Turns)> {
    let mut found = Vec::new();
    for _ in 0..rounds {
        found.push((floor.play(users, turns).await, ours.play(users, turns).await));
    }
    found
}

/// The devices and the sockets of one side.
struct Stage {
    side: Side,
    devices: Vec<Device>,
    listeners: Listeners,
}

struct Turns {
    deliveries: u64,
    cost: Cost,
    /// The 99th percentile of the time until the last delivery of a turn, in milliseconds.
    p99: f64,
}

impl Stage {
    async fn open(side: Side, people: &[Person]) -> Self {
        Self { side, devices: crowd::devices(side, people).await, listeners: Listeners::new(side) }
    }

    async fn play(&mut self, users: usize, turns: usize) -> Turns {
        let a_turn = (users * self.listeners.sockets()) as u64;
        let before = self.listeners.got();
        let mut millis = Vec::with_capacity(turns);
        let ((), cost) = cost(self.side.process, async {
            for _ in 0..turns {
                let begun = Instant::now();
                self.listeners.expect(a_turn);
                for device in &mut self.devices[..users] {
                    device.send().await;
                }
                self.listeners.wait().await;
                millis.push(begun.elapsed().as_secs_f64() * 1e3);
                for device in &mut self.devices[..users] {
                    device.hear_ok().await;
                }
            }
        })
        .await;
        let deliveries = self.listeners.got() - before;
        assert_eq!(deliveries, a_turn * turns as u64, "each socket is told each change once");
        Turns { deliveries, cost, p99: p99(&mut millis) }
    }
}
