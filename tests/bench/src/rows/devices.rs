//! Devices that connect and then are idle. They authenticate with bearer tokens, so that no
//! signature is checked: sign-ins are a row of their own.

use std::time::Duration;

use crate::clients::{self, Device, SignedInUser};
use crate::report::{Finding, Judged, Pair, Round, Thresholds};
use crate::scale::Scale;
use crate::sides::{Side, Sides, cost};
use crate::system::{Process, allow_open_files};

/// The number of devices that connect at once.
const AT_ONCE: usize = 50;
/// The time until the memory that connecting needed is released.
pub(crate) const SETTLE_TIME: Duration = Duration::from_secs(1);
/// The time until the memory of devices that have left is released.
const LEAVE_TIME: Duration = Duration::from_secs(5);

pub(crate) async fn measure(scale: &Scale) -> Vec<Finding> {
    let total = scale.rounds * scale.arrivals;
    allow_open_files(total as u64 + 2 * scale.arrivals as u64 + 1_000);
    let mut sides = Sides::start().await;
    let owner = sides.server.sign_in("developer").await;
    let application = sides.server.application(&owner).await;
    let users = clients::sign_in_users(&sides.server, &application, "user", total + AT_ONCE).await;
    // Memory that is left from signing in would hide the memory of the devices.
    sides.restart_server().await;
    let (warm, users) = users.split_at(AT_ONCE);
    let mut measured = open(sides.measured(), warm).await;
    let (mut connects, mut memory) = (Vec::new(), Vec::new());
    for connecting in users.chunks(scale.arrivals) {
        let (connect, each) = run_round(&mut sides, &mut measured, (warm, connecting)).await;
        connects.push(connect);
        memory.push(each);
    }
    let (_, devices) = measured;
    [findings(&connects, &memory), vec![finding_left(devices.leave().await)]].concat()
}

/// Connects further devices of each side. Returns the CPU time of each, and its memory. The bare
/// servers get a new process in each round, so that this process does not have too many open files.
async fn run_round(
    sides: &mut Sides,
    measured: &mut ConnectedSide,
    (warm, users): (&[SignedInUser], &[SignedInUser]),
) -> (Round<f64>, Round<f64>) {
    sides.restart_bare().await;
    let mut baseline = open(sides.baseline("/ack"), warm).await;
    let mut tungstenite = open(sides.tungstenite("/ack"), warm).await;
    let connect = Round {
        baseline: connect_users(&mut baseline, users).await,
        tungstenite: connect_users(&mut tungstenite, users).await,
        measured: connect_users(measured, users).await,
    };
    tokio::time::sleep(SETTLE_TIME).await;
    let memory = Round {
        baseline: baseline.1.memory_each(),
        tungstenite: tungstenite.1.memory_each(),
        measured: measured.1.memory_each(),
    };
    (connect, memory)
}

/// The memory that is left of devices that have left, beside that while they are connected.
fn finding_left(left: Pair) -> Finding {
    Finding {
        what: "a device that has left, beside one that is connected",
        unit: "KiB of private memory",
        rounds: vec![left],
        judged: Judged::Ratio(Thresholds::at_most(0.9, 0.2)),
    }
}

fn findings(connects: &[Round<f64>], memory: &[Round<f64>]) -> Vec<Finding> {
    let same = |value: &f64| *value;
    let in_the_end = &memory[memory.len().saturating_sub(1)..];
    vec![
        Finding {
            what: "connect, handshake, first status",
            unit: "µs of server CPU",
            rounds: Round::measured(connects, same),
            judged: Judged::Ratio(Thresholds::at_most(8.0, 2.0)),
        },
        Round::beside_tungstenite(
            connects,
            ("connect, handshake, first status, beside tokio-tungstenite", "µs of server CPU"),
            same,
            Judged::Ratio(Thresholds::at_most(4.0, 2.0)),
        ),
        Finding {
            what: "an idle device with a grant, all connected",
            unit: "KiB of private memory",
            rounds: Round::measured(in_the_end, same),
            judged: Judged::Measured(Thresholds::at_most(6.0, 3.0)),
        },
        Finding {
            what: "an idle device with a grant, as they come",
            unit: "KiB of private memory",
            rounds: Round::measured(memory, same),
            judged: Judged::Nothing,
        },
        Round::beside_tungstenite(
            memory,
            ("an idle device, as they come, beside tokio-tungstenite", "KiB of private memory"),
            same,
            Judged::Nothing,
        ),
    ]
}

type ConnectedSide = (Side, ConnectedDevices);

/// Connects the first devices of a side.
async fn open(side: Side, warm: &[SignedInUser]) -> ConnectedSide {
    let connect = async |number: usize| Device::connect(side, number, &warm[number]).await;
    (side, ConnectedDevices::open(side.process, connect).await)
}

/// Connects one more device for each user, and returns the CPU time of each, in microseconds.
async fn connect_users((side, devices): &mut ConnectedSide, users: &[SignedInUser]) -> f64 {
    let first = devices.devices.len();
    let connect =
        async |number: usize| Device::connect(*side, number, &users[number - first]).await;
    devices.connect_all(users.len(), connect).await
}

/// The devices of one side. They stay connected.
pub(crate) struct ConnectedDevices {
    process: Process,
    devices: Vec<Device>,
    /// The number of devices that were connected first, and the memory then, in KiB.
    before: (usize, f64),
}

impl ConnectedDevices {
    /// Measures the memory of a server without a device.
    pub(crate) fn none(process: Process) -> Self {
        Self { process, devices: Vec::new(), before: (0, process.private_kib()) }
    }

    /// Connects [`AT_ONCE`] devices first, so that nothing that is measured happens for the first
    /// time.
    async fn open(process: Process, connect: impl AsyncFn(usize) -> Device) -> Self {
        let mut connected = Self::none(process);
        connected.connect_all(AT_ONCE, connect).await;
        tokio::time::sleep(SETTLE_TIME).await;
        connected.before = (connected.devices.len(), process.private_kib());
        connected
    }

    /// Connects further devices, and returns the CPU time of each, in microseconds. `connect`
    /// connects the device with a number, counted from 0.
    pub(crate) async fn connect_all(
        &mut self,
        count: usize,
        connect: impl AsyncFn(usize) -> Device,
    ) -> f64 {
        let end = self.devices.len() + count;
        let ((), cost) = cost(self.process, async {
            while self.devices.len() < end {
                let first = self.devices.len();
                let connecting = (first..end.min(first + AT_ONCE)).map(|number| connect(number));
                self.devices.extend(futures_util::future::join_all(connecting).await);
            }
        })
        .await;
        cost.micros_each(count as u64)
    }

    /// Closes all connections, and returns the memory of each device before and after that. What
    /// stays belongs to its user: the last update, the log for sockets that resume, and rates.
    async fn leave(mut self) -> Pair {
        let (connected, count) = (self.memory_each(), self.devices.len() - self.before.0);
        self.devices.clear();
        // The grace time ends meanwhile, and the allocator returns what it has kept.
        tokio::time::sleep(LEAVE_TIME).await;
        Pair::new(connected, (self.process.private_kib() - self.before.1) / count as f64)
    }

    /// Returns the memory of each device that was connected after the first few, in KiB.
    pub(crate) fn memory_each(&self) -> f64 {
        let (first, before) = self.before;
        (self.process.private_kib() - before) / (self.devices.len() - first) as f64
    }
}
