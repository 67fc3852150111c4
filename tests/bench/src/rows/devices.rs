//! Devices that connect and then are idle. They authenticate with bearer tokens, so that no
//! signature is checked: sign-ins are a row of their own.

use std::time::Duration;

use crate::clients::{self, Device, SignedInUser};
use crate::report::{Finding, Judged, Round, Thresholds};
use crate::scale::Scale;
use crate::sides::{Side, Sides, cost};
use crate::system::allow_open_files;

/// The number of devices that connect at once.
const AT_ONCE: usize = 50;
/// The time until the memory that connecting needed is released.
const SETTLE_TIME: Duration = Duration::from_secs(1);

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
    let mut measured = ConnectedDevices::open(sides.measured(), warm).await;
    let (mut connects, mut memory) = (Vec::new(), Vec::new());
    for connecting_users in users.chunks(scale.arrivals) {
        // The bare servers get a new process in each round, so that this process does not have too
        // many open files.
        sides.restart_bare().await;
        let mut baseline = ConnectedDevices::open(sides.baseline("/ack"), warm).await;
        let mut tungstenite = ConnectedDevices::open(sides.tungstenite("/ack"), warm).await;
        connects.push(Round {
            baseline: baseline.connect_all(connecting_users).await,
            tungstenite: tungstenite.connect_all(connecting_users).await,
            measured: measured.connect_all(connecting_users).await,
        });
        tokio::time::sleep(SETTLE_TIME).await;
        memory.push(Round {
            baseline: baseline.memory_each(),
            tungstenite: tungstenite.memory_each(),
            measured: measured.memory_each(),
        });
    }
    findings(&connects, &memory)
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

/// The devices of one side. They stay connected.
struct ConnectedDevices {
    side: Side,
    devices: Vec<Device>,
    /// The memory before the devices connected, in KiB.
    before: f64,
}

impl ConnectedDevices {
    /// Connects a few devices first, so that nothing that is measured happens for the first time.
    async fn open(side: Side, warm: &[SignedInUser]) -> Self {
        let mut connected = Self { side, devices: Vec::new(), before: 0.0 };
        connected.connect_all(warm).await;
        tokio::time::sleep(SETTLE_TIME).await;
        connected.before = side.process.private_kib();
        connected
    }

    /// Connects devices, and returns the CPU time of each, in microseconds.
    async fn connect_all(&mut self, users: &[SignedInUser]) -> f64 {
        let (side, first) = (self.side, self.devices.len());
        let ((), cost) = cost(side.process, async {
            for (batch, users) in users.chunks(AT_ONCE).enumerate() {
                let first = first + batch * AT_ONCE;
                let connecting = users
                    .iter()
                    .enumerate()
                    .map(|(place, user)| Device::connect(side, first + place, user));
                self.devices.extend(futures_util::future::join_all(connecting).await);
            }
        })
        .await;
        cost.micros_each(users.len() as u64)
    }

    /// Returns the memory of each device that was connected after the first few, in KiB.
    fn memory_each(&self) -> f64 {
        let since = self.devices.len() - AT_ONCE;
        (self.side.process.private_kib() - self.before) / since as f64
    }
}
