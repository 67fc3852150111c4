//! Devices that report statuses, and the cost of a change to the server.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::curve::CurvePoint;
use super::curve_scale::CurveScale;
use crate::clients::{self, Device, SignedInUser};
use crate::sides::{Side, cost};

/// The time of a device's next report.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ChangePace {
    /// Each device reports as soon as its last report was answered.
    AtOnce,
    /// The devices report in turn: one change is in flight at a time.
    InTurn,
}

/// Connected devices of as many users.
pub(crate) struct Reporters {
    side: Side,
    devices: Vec<Device>,
}

impl Reporters {
    pub(crate) async fn connect(side: Side, users: &[SignedInUser]) -> Self {
        Self { side, devices: clients::devices(side, users).await }
    }

    /// Lets the devices report for some time. Returns the server's CPU time of each change, in
    /// microseconds.
    pub(crate) async fn report(&mut self, pace: ChangePace, time: Duration) -> f64 {
        let process = self.side.process;
        let (changes, cost) = match pace {
            ChangePace::AtOnce => cost(process, self.report_at_once(time)).await,
            ChangePace::InTurn => cost(process, self.report_in_turn(time)).await,
        };
        cost.micros_each(changes)
    }

    async fn report_at_once(&mut self, time: Duration) -> u64 {
        let until = Instant::now() + time;
        let mut tasks: JoinSet<_> =
            self.devices.drain(..).map(|device| report_until(device, until)).collect();
        let mut all = 0;
        while let Some(done) = tasks.join_next().await {
            let (device, changes) = done.unwrap();
            self.devices.push(device);
            all += changes;
        }
        all
    }

    async fn report_in_turn(&mut self, time: Duration) -> u64 {
        let until = Instant::now() + time;
        let mut changes = 0;
        for number in (0..self.devices.len()).cycle() {
            if Instant::now() >= until {
                break;
            }
            self.devices[number].report().await;
            changes += 1;
        }
        changes
    }
}

/// Measures the cost of a change at each size. The rounds alternate between the sizes, and the
/// first one is not counted.
pub(crate) async fn alternate(
    sizes: &[usize],
    reporters: &mut [Reporters],
    pace: ChangePace,
    scale: &CurveScale,
) -> Vec<CurvePoint> {
    let mut points: Vec<CurvePoint> = sizes.iter().copied().map(CurvePoint::new).collect();
    for round in 0..=scale.rounds {
        for (point, reporters) in points.iter_mut().zip(reporters.iter_mut()) {
            let micros = reporters.report(pace, scale.round).await;
            if round > 0 {
                point.costs.push(micros);
            }
        }
    }
    points
}

async fn report_until(mut device: Device, until: Instant) -> (Device, u64) {
    let mut changes = 0;
    while Instant::now() < until {
        device.report().await;
        changes += 1;
    }
    (device, changes)
}
