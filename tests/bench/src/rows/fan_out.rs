//! One status to many sockets of an Application: one in flight, bursts of twenty users at once, and
//! the last delivery of a burst.

use std::time::Instant;

use crate::clients::{self, Device, SignedInUser};
use crate::report::{Finding, Judged, Pair, Thresholds, p99};
use crate::scale::Scale;
use crate::sides::{Cost, Side, Sides, cost};
use crate::subscribers::Subscribers;

/// The number of users whose statuses are in flight at once.
const BURST: usize = 20;
/// The number of users and of sockets in the burst whose last delivery is timed. It is small, so
/// that the CPU is not the bottleneck.
const SMALL: usize = 10;

pub(crate) async fn measure(scale: &Scale) -> Vec<Finding> {
    let sides = Sides::start().await;
    let owner = sides.server.sign_in("developer").await;
    let application = sides.server.application(&owner).await;
    let users = clients::sign_in_users(&sides.server, &application, "user", BURST).await;
    let mut baseline = FanOutSide::open(sides.baseline("/publish"), &users).await;
    let mut measured = FanOutSide::open(sides.measured(), &users).await;

    for side in [&mut baseline, &mut measured] {
        side.subscribers.grow_to(SMALL, &application, "nothing").await;
    }
    let small =
        measure_both(&mut baseline, &mut measured, (SMALL, 2 * scale.steps), scale.rounds).await;
    for side in [&mut baseline, &mut measured] {
        side.subscribers.grow_to(scale.sockets, &application, "nothing").await;
    }
    let single = measure_both(&mut baseline, &mut measured, (1, scale.steps), scale.rounds).await;
    let burst =
        measure_both(&mut baseline, &mut measured, (BURST, scale.steps / 2), scale.rounds).await;

    vec![
        Finding {
            what: "one status → 100 sockets",
            unit: "µs of server CPU a delivery",
            rounds: Pair::of_rounds(&single, |round| round.cost.micros_each(round.deliveries)),
            judged: Judged::Ratio(Thresholds::at_most(1.3, 1.1)),
        },
        Finding {
            what: "one status → 100 sockets, the last, p99",
            unit: "ms",
            rounds: Pair::of_rounds(&single, |round| round.p99),
            judged: Judged::Nothing,
        },
        Finding {
            what: "20 statuses at once → 100 sockets",
            unit: "µs of server CPU a delivery",
            rounds: Pair::of_rounds(&burst, |round| round.cost.micros_each(round.deliveries)),
            judged: Judged::Measured(Thresholds::at_most(1.0, 0.5)),
        },
        Finding {
            what: "10 statuses at once → 10 sockets, the last, p99",
            unit: "ms",
            rounds: Pair::of_rounds(&small, |round| round.p99),
            judged: Judged::Measured(Thresholds::at_most(5.0, 1.0)),
        },
    ]
}

/// Measures rounds of both sides with this number of users at once and of steps in a round.
async fn measure_both(
    baseline: &mut FanOutSide,
    measured: &mut FanOutSide,
    (users, steps): (usize, usize),
    rounds: usize,
) -> Vec<(FanOutRound, FanOutRound)> {
    let mut found = Vec::new();
    for _ in 0..rounds {
        found
            .push((baseline.run_round(users, steps).await, measured.run_round(users, steps).await));
    }
    found
}

/// The devices and the sockets of one side.
struct FanOutSide {
    side: Side,
    devices: Vec<Device>,
    subscribers: Subscribers,
}

struct FanOutRound {
    deliveries: u64,
    cost: Cost,
    /// The 99th percentile of the time until the last delivery of a step, in milliseconds.
    p99: f64,
}

impl FanOutSide {
    async fn open(side: Side, users: &[SignedInUser]) -> Self {
        Self {
            side,
            devices: clients::devices(side, users).await,
            subscribers: Subscribers::new(side),
        }
    }

    async fn run_round(&mut self, users: usize, steps: usize) -> FanOutRound {
        let deliveries_each = (users * self.subscribers.sockets()) as u64;
        let before = self.subscribers.received();
        let mut millis = Vec::with_capacity(steps);
        let ((), cost) = cost(self.side.process, async {
            for _ in 0..steps {
                let begun = Instant::now();
                self.subscribers.expect(deliveries_each);
                for device in &mut self.devices[..users] {
                    device.send().await;
                }
                self.subscribers.wait().await;
                millis.push(begun.elapsed().as_secs_f64() * 1e3);
                for device in &mut self.devices[..users] {
                    device.expect_ok().await;
                }
            }
        })
        .await;
        let deliveries = self.subscribers.received() - before;
        assert_eq!(
            deliveries,
            deliveries_each * steps as u64,
            "each socket must receive each change once"
        );
        FanOutRound { deliveries, cost, p99: p99(&mut millis) }
    }
}
