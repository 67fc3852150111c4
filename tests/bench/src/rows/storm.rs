//! A storm: thousands of devices come back within seconds, after the server was started anew, while
//! the devices of other users report as before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::clients::{self, Device, SignedInUser};
use crate::filling::{Filling, signed_in};
use crate::report::{Finding, Judged, Pair, Thresholds, p99};
use crate::scale::Scale;
use crate::sides::{Cost, Side, cost, unlimited};
use crate::system::allow_open_files;

/// The number of devices that come back in a second.
const PER_SECOND: u32 = 2_000;
/// The number of users who report meanwhile.
const REPORTERS: usize = 100;
/// The time between two reports of one of them.
const PACE: Duration = Duration::from_millis(100);
/// The largest number of rounds: each needs a server with a database of its own.
const MAX_ROUNDS: usize = 3;

/// One storm.
struct StormRound {
    returned: usize,
    /// The p99 of the reports before the storm and in it, in microseconds.
    before: f64,
    meanwhile: f64,
    cost: Cost,
}

pub(crate) async fn measure(scale: &Scale) -> Vec<Finding> {
    allow_open_files(scale.returning as u64 + 1_000);
    let mut rounds = Vec::new();
    for _ in 0..scale.rounds.min(MAX_ROUNDS) {
        rounds.push(run_round(scale).await);
    }
    let seconds = |round: &StormRound| Pair::alone(round.cost.clock.as_secs_f64());
    let cpu = |round: &StormRound| Pair::alone(round.cost.micros_each(round.returned as u64));
    vec![
        Finding {
            what: "statuses of others while thousands of devices come back, p99",
            unit: "µs",
            rounds: rounds.iter().map(|it| Pair::new(it.before, it.meanwhile)).collect(),
            judged: Judged::Ratio(Thresholds::at_most(20.0, 2.0)),
        },
        Finding {
            what: "16,000 devices come back, 2,000 a second: the last one is back after",
            unit: "s",
            rounds: rounds.iter().map(seconds).collect(),
            judged: Judged::Measured(Thresholds::at_most(24.0, 9.0)),
        },
        Finding {
            what: "a device that comes back, with the statuses of others",
            unit: "µs of server CPU",
            rounds: rounds.iter().map(cpu).collect(),
            judged: Judged::Nothing,
        },
    ]
}

async fn run_round(scale: &Scale) -> StormRound {
    let users = REPORTERS + scale.returning;
    let sessions: Vec<usize> = (1..=users).collect();
    let filling = Filling { users, applications: 1, grants: 1 };
    let server = filling.start(unlimited(), &sessions).await;
    let side = Side::of(&server);
    let mut users = signed_in(1..=users);
    let returning = users.split_off(REPORTERS);
    let (is_over, (begin, start)) = (Arc::new(AtomicBool::new(false)), oneshot::channel());
    let reporters = {
        let (is_over, quiet) = (Arc::clone(&is_over), scale.round);
        // A thread of its own, so that opening sockets delays no report.
        std::thread::spawn(move || report(side, &users, quiet, (begin, &is_over)))
    };
    start.await.unwrap();
    let (devices, cost) = cost(side.process, come_back(side, &returning)).await;
    is_over.store(true, Ordering::Relaxed);
    let (before, meanwhile) = reporters.join().unwrap();
    let returned = devices.len();
    // A closed connection would keep its port, for which the next round would look in vain.
    devices.into_iter().for_each(Device::lose);
    StormRound { returned, before, meanwhile, cost }
}

/// Connects a device of each user, at an even pace, and returns them once the last one is online.
async fn come_back(side: Side, users: &[SignedInUser]) -> Vec<Device> {
    let mut connecting = JoinSet::new();
    let begun = Instant::now();
    for (number, user) in (0_u32..).zip(users) {
        tokio::time::sleep_until((begun + number * Duration::from_secs(1) / PER_SECOND).into())
            .await;
        let (user, place) = (user.clone(), REPORTERS + number as usize);
        connecting.spawn(async move { Device::connect(side, place, &user).await });
    }
    connecting.join_all().await
}

/// Lets users report at their pace: for some time, and then until the storm that `begin` announces
/// is over. Returns the p99 of both times, in microseconds.
#[tokio::main(flavor = "current_thread")]
async fn report(
    side: Side,
    users: &[SignedInUser],
    quiet: Duration,
    (begin, is_over): (oneshot::Sender<()>, &AtomicBool),
) -> (f64, f64) {
    let mut devices = clients::devices(side, users).await;
    let until = Instant::now() + quiet;
    let mut before = report_while(&mut devices, || Instant::now() < until).await;
    begin.send(()).unwrap();
    let mut meanwhile = report_while(&mut devices, || !is_over.load(Ordering::Relaxed)).await;
    (p99(&mut before), p99(&mut meanwhile))
}

/// Returns how long each report took, in microseconds. The devices report one after another.
async fn report_while(devices: &mut [Device], goes_on: impl Fn() -> bool) -> Vec<f64> {
    let (begun, step) = (Instant::now(), PACE / u32::try_from(devices.len()).unwrap());
    let reports = (0_u32..).zip(devices).map(|(place, device)| {
        let goes_on = &goes_on;
        async move {
            let (mut micros, mut next) = (Vec::new(), begun + place * step);
            while goes_on() {
                tokio::time::sleep_until(next.into()).await;
                let sent_at = Instant::now();
                device.report().await;
                micros.push(sent_at.elapsed().as_secs_f64() * 1e6);
                next = (next + PACE).max(Instant::now());
            }
            micros
        }
    });
    futures_util::future::join_all(reports).await.concat()
}
