//! The statuses of many users to one socket: as many updates as there are statuses, and no backlog.

use std::time::{Duration, Instant};

use presence_tests::Application;
use serde_json::json;
use tokio::task::JoinSet;

use crate::crowd::{self, Device, Person};
use crate::listeners::Listeners;
use crate::report::{Bar, Finding, Judged, Pair};
use crate::scale::Scale;
use crate::sides::{Cost, Side, Sides, cost};

/// The text of the last status, which marks the end of the updates.
const MARK: &str = "the last one";

pub(crate) async fn measure(scale: &Scale) -> Vec<Finding> {
    let sides = Sides::start().await;
    let owner = sides.server.sign_in("developer").await;
    let application = sides.server.application(&owner).await;
    let people = crowd::people(&sides.server, &application, "user", scale.connections + 1).await;
    let mut floor = Stage::open(sides.floor("/publish"), &people, &application).await;
    let mut ours = Stage::open(sides.ours(), &people, &application).await;
    let mut rounds = Vec::new();
    for _ in 0..scale.rounds {
        rounds.push((floor.play(scale.round).await, ours.play(scale.round).await));
    }
    let pairs = |value: &dyn Fn(&Flow) -> f64| -> Vec<Pair> {
        rounds.iter().map(|(floor, ours)| Pair::new(value(floor), value(ours))).collect()
    };
    let users = scale.connections as f64;
    vec![
        Finding {
            what: "many users → one socket",
            unit: "updates a server core second",
            rounds: pairs(&|flow| flow.cost.per_core_second(flow.told)),
            judged: Judged::Ratio(Bar::at_least(0.6, 0.9)),
        },
        Finding {
            what: "many users → one socket, by the clock",
            unit: "updates/s",
            rounds: pairs(&|flow| flow.told as f64 / flow.cost.clock.as_secs_f64()),
            judged: Judged::Nothing,
        },
        Finding {
            what: "many users → one socket, told of what was said",
            unit: "%",
            rounds: pairs(&|flow| 100.0 * flow.told as f64 / flow.said as f64),
            judged: Judged::Nothing,
        },
        Finding {
            what: "backlog at the end",
            unit: "updates a user",
            rounds: pairs(&|flow| flow.backlog as f64 / users),
            judged: Judged::Ours(Bar::at_most(2.0, 1.0)),
        },
    ]
}

/// The devices of one side, and the one socket.
struct Stage {
    side: Side,
    devices: Vec<Device>,
    last: Device,
    listener: Listeners,
}

struct Flow {
    said: u64,
    told: u64,
    /// The number of updates received only after the last OK.
    backlog: u64,
    cost: Cost,
}

impl Stage {
    async fn open(side: Side, people: &[Person], application: &Application) -> Self {
        let mut devices = crowd::devices(side, people).await;
        let last = devices.pop().unwrap();
        let mut listener = Listeners::new(side);
        listener.grow_to(1, application, MARK).await;
        Self { side, devices, last, listener }
    }

    async fn play(&mut self, time: Duration) -> Flow {
        let before = self.listener.got();
        let ((said, in_time), cost) = cost(self.side.process, async {
            let said = self.report(Instant::now() + time).await;
            let in_time = self.listener.got() - before;
            self.hear_all(before + said).await;
            (said, in_time)
        })
        .await;
        let told = self.listener.got() - before;
        Flow { said, told, backlog: told - in_time, cost }
    }

    async fn report(&mut self, until: Instant) -> u64 {
        let mut tasks: JoinSet<_> = self.devices.drain(..).map(|it| report(it, until)).collect();
        let mut said = 0;
        while let Some(done) = tasks.join_next().await {
            let (device, reports) = done.unwrap();
            self.devices.push(device);
            said += reports;
        }
        said
    }

    /// Waits until all updates were received: for the baseline their number, for the real server
    /// all before a last one with a mark.
    async fn hear_all(&mut self, all: u64) {
        if self.side.is_floor {
            while self.listener.got() < all {
                tokio::task::yield_now().await;
            }
            return;
        }
        let marked = self.listener.marked();
        self.last.say(&json!({"status": "online", "message": MARK}).to_string()).await;
        while self.listener.marked() == marked {
            tokio::task::yield_now().await;
        }
        self.last.say(&json!({"status": "unavailable"}).to_string()).await;
    }
}

async fn report(mut device: Device, until: Instant) -> (Device, u64) {
    let mut reports = 0;
    while Instant::now() < until {
        device.report().await;
        reports += 1;
    }
    (device, reports)
}
