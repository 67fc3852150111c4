//! One status to many sockets of an Application: one in flight, bursts of twenty users at once, and
//! the last delivery of a burst.

use std::time::Instant;

use presence_tests::Application;

use crate::clients::{self, Device, SignedInUser};
use crate::report::{Finding, Judged, Round, Thresholds, p99};
use crate::scale::Scale;
use crate::sides::{Cost, Side, Sides, cost};
use crate::subscribers::Subscribers;
use crate::system::Process;

/// The number of users whose statuses are in flight at once.
pub(crate) const BURST: usize = 20;
/// The number of users and of sockets in the burst whose last delivery is timed. It is small, so
/// that the CPU is not the bottleneck.
const SMALL: usize = 10;

pub(crate) async fn measure(scale: &Scale) -> Vec<Finding> {
    let sides = Sides::start().await;
    let owner = sides.server.sign_in("developer").await;
    let application = sides.server.application(&owner).await;
    let users = clients::sign_in_users(&sides.server, &application, "user", BURST).await;
    let mut fan_out = FanOutSides(Round {
        baseline: open(sides.baseline("/publish"), &users).await,
        tungstenite: open(sides.tungstenite("/publish"), &users).await,
        measured: open(sides.measured(), &users).await,
    });
    fan_out.grow_to(SMALL, &application).await;
    let small = fan_out.run_rounds((SMALL, 2 * scale.steps), scale.rounds).await;
    fan_out.grow_to(scale.sockets, &application).await;
    let single = fan_out.run_rounds((1, scale.steps), scale.rounds).await;
    let burst = fan_out.run_rounds((BURST, scale.steps / 2), scale.rounds).await;
    let micros_each = |round: &FanOutRound| round.cost.micros_each(round.deliveries);
    let unit = "µs of server CPU a delivery";
    vec![
        Finding {
            what: "one status → 100 sockets",
            unit,
            rounds: Round::measured(&single, micros_each),
            judged: Judged::Ratio(Thresholds::at_most(1.6, 1.1)),
        },
        Round::beside_tungstenite(
            &single,
            ("one status → 100 sockets, beside tokio-tungstenite", unit),
            micros_each,
            Judged::Ratio(Thresholds::at_most(1.3, 1.1)),
        ),
        Finding {
            what: "one status → 100 sockets, the last, p99",
            unit: "ms",
            rounds: Round::measured(&single, |round| round.p99),
            judged: Judged::Nothing,
        },
        Finding {
            what: "20 statuses at once → 100 sockets",
            unit,
            rounds: Round::measured(&burst, micros_each),
            judged: Judged::Measured(Thresholds::at_most(1.0, 0.5)),
        },
        Round::beside_tungstenite(
            &burst,
            ("20 statuses at once → 100 sockets, beside tokio-tungstenite", unit),
            micros_each,
            Judged::Nothing,
        ),
        Finding {
            what: "10 statuses at once → 10 sockets, the last, p99",
            unit: "ms",
            rounds: Round::measured(&small, |round| round.p99),
            judged: Judged::Measured(Thresholds::at_most(5.0, 1.0)),
        },
    ]
}

/// All sides.
struct FanOutSides(Round<(Side, FanOutSide)>);

impl FanOutSides {
    /// Opens sockets until each side has so many.
    async fn grow_to(&mut self, sockets: usize, application: &Application) {
        let Round { baseline, tungstenite, measured } = &mut self.0;
        for (side, fan_out) in [baseline, tungstenite, measured] {
            fan_out.subscribers.grow_to(*side, sockets, application, "nothing").await;
        }
    }

    /// Measures rounds with this number of users at once and of steps in a round.
    async fn run_rounds(&mut self, load: (usize, usize), rounds: usize) -> Vec<Round<FanOutRound>> {
        let mut found = Vec::new();
        for _ in 0..rounds {
            found.push(Round {
                baseline: self.0.baseline.1.run_round(load).await,
                tungstenite: self.0.tungstenite.1.run_round(load).await,
                measured: self.0.measured.1.run_round(load).await,
            });
        }
        found
    }
}

/// Connects the devices of one side.
async fn open(side: Side, users: &[SignedInUser]) -> (Side, FanOutSide) {
    let devices = clients::devices(side, users).await;
    (side, FanOutSide { process: side.process, devices, subscribers: Subscribers::default() })
}

/// The devices and the sockets of one side.
pub(crate) struct FanOutSide {
    pub(crate) process: Process,
    pub(crate) devices: Vec<Device>,
    pub(crate) subscribers: Subscribers,
}

pub(crate) struct FanOutRound {
    pub(crate) deliveries: u64,
    pub(crate) cost: Cost,
    /// The 99th percentile of the time until the last delivery of a step, in milliseconds.
    p99: f64,
}

impl FanOutSide {
    /// Lets this number of devices report at once, as often as there are steps.
    pub(crate) async fn run_round(&mut self, (users, steps): (usize, usize)) -> FanOutRound {
        let deliveries_each = (users * self.subscribers.sockets()) as u64;
        let before = self.subscribers.received();
        let mut millis = Vec::with_capacity(steps);
        let ((), cost) = cost(self.process, async {
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
