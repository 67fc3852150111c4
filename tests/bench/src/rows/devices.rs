//! Devices that connect and then are idle. They prove themselves with bearer tokens, so that no signature is checked: what that
//! costs is a row of its own.

use std::time::Duration;

use crate::crowd::{self, Device, Person};
use crate::report::{Bar, Finding, Judged, Pair};
use crate::scale::Scale;
use crate::sides::{Cost, Side, Sides, cost};
use crate::system::{Process, allow_open_files};

/// How many connect at once.
const AT_ONCE: usize = 50;
/// Until what was needed for connecting is given back.
const REST: Duration = Duration::from_secs(1);

pub(crate) async fn measure(scale: &Scale) -> Vec<Finding> {
    let total = scale.rounds * scale.arrivals;
    allow_open_files(2 * total as u64 + 1_000);
    let mut sides = Sides::start().await;
    let owner = sides.server.sign_in("developer").await;
    let application = sides.server.application(&owner).await;
    let people = crowd::people(&sides.server, &application, "user", total + AT_ONCE).await;
    // What signing in has left behind would be room for what is measured.
    sides.restart_server().await;
    let (warm, people) = people.split_at(AT_ONCE);
    let (mut floor, mut ours) = (House::new(sides.floor("/ack")), House::new(sides.ours()));
    floor.welcome(warm).await;
    ours.welcome(warm).await;
    tokio::time::sleep(REST).await;
    let before = [floor.side.process, ours.side.process].map(Process::private_kib);
    let mut connects = Vec::new();
    let mut memory = Vec::new();
    for arriving in people.chunks(scale.arrivals) {
        let costs = [floor.welcome(arriving).await, ours.welcome(arriving).await];
        let [floors, our] = costs.map(|cost| cost.micros_each(arriving.len() as u64));
        connects.push(Pair::new(floors, our));
        tokio::time::sleep(REST).await;
        let [floors, our] = [(&floor, before[0]), (&ours, before[1])].map(|(house, before)| {
            let connected = house.devices.len() - AT_ONCE;
            (house.side.process.private_kib() - before) / connected as f64
        });
        memory.push(Pair::new(floors, our));
    }
    vec![
        Finding {
            what: "connect, handshake, first status",
            unit: "µs of server CPU",
            rounds: connects,
            judged: Judged::Ratio(Bar::at_most(4.0, 2.0)),
        },
        Finding {
            what: "an idle device with a grant, all connected",
            unit: "KiB of private memory",
            rounds: memory.last().copied().into_iter().collect(),
            judged: Judged::Ours(Bar::at_most(6.0, 3.0)),
        },
        Finding {
            what: "an idle device with a grant, as they come",
            unit: "KiB of private memory",
            rounds: memory,
            judged: Judged::Nothing,
        },
    ]
}

/// The devices of one side, which stay.
struct House {
    side: Side,
    devices: Vec<Device>,
}

impl House {
    fn new(side: Side) -> Self {
        Self { side, devices: Vec::new() }
    }

    async fn welcome(&mut self, people: &[Person]) -> Cost {
        let (side, first) = (self.side, self.devices.len());
        let ((), cost) = cost(side.process, async {
            for (batch, people) in people.chunks(AT_ONCE).enumerate() {
                let first = first + batch * AT_ONCE;
                let connecting = people
                    .iter()
                    .enumerate()
                    .map(|(place, person)| Device::connect(side, first + place, person));
                self.devices.extend(futures_util::future::join_all(connecting).await);
            }
        })
        .await;
        cost
    }
}
