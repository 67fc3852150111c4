//! Two servers that share presence through PostgreSQL, beside one server on SQLite with the same
//! work: the CPU time of a change, the time until the other server's sockets have it, and
//! notifications.
//!
//! The servers, PostgreSQL and the load generator share all cores: this row is measured alone.

mod changes;
mod latency;
mod pair;

use presence_tests::Server;

use crate::report::{Finding, Judged, Pair, Thresholds};
use crate::rows::notify::{Senders, SentBatch};
use crate::scale::Scale;

use changes::{ChangeRound, ChangingUsers};
use pair::SharingPair;

/// The number of users who receive notifications, for each of the scale's receivers: 4,000 in a
/// full run.
const RECEIVERS: usize = 4;

/// The number of devices that make large batches, for each of the scale's senders: 512 in a full
/// run.
const MANY: usize = 2;

/// The rows of changes that are written in batches of about one size, each told to 3 Applications.
struct BatchRows {
    /// The row of the mean number of changes in a batch, with the least one that counts.
    size: &'static str,
    least: f64,
    /// The row of the cost of PostgreSQL, with its gate and its aim.
    database: &'static str,
    gate: f64,
    aim: f64,
    servers: &'static str,
    rate: &'static str,
    answer: &'static str,
}

const SMALL_BATCHES: BatchRows = BatchRows {
    size: "two servers, 256 devices: changes in a batch",
    least: 32.0,
    database: "two servers, 256 devices: a change, PostgreSQL",
    gate: 110.0,
    aim: 92.0,
    servers: "two servers, 256 devices: a change, the servers",
    rate: "two servers, 256 devices: changes by the clock",
    answer: "two servers, 256 devices: status → OK, p99",
};

const LARGE_BATCHES: BatchRows = BatchRows {
    size: "two servers, 512 devices: changes in a batch",
    least: 64.0,
    database: "two servers, 512 devices: a change, PostgreSQL",
    gate: 80.0,
    aim: 60.0,
    servers: "two servers, 512 devices: a change, the servers",
    rate: "two servers, 512 devices: changes by the clock",
    answer: "two servers, 512 devices: status → OK, p99",
};

pub(crate) async fn measure(scale: &Scale) -> Vec<Finding> {
    let pair = SharingPair::start().await;
    let alone = Server::start(pair::options()).await;
    let mut findings = measure_changes(&pair, &alone, scale).await;
    findings.push(latency::measure(&pair, scale).await);
    findings.extend(measure_notifications(&pair, scale).await);
    let deadlocks = pair.database.deadlocks() as f64;
    findings.push(Finding {
        what: "two servers: deadlocks",
        unit: "in all rounds",
        rounds: vec![Pair::alone(deadlocks)],
        judged: Judged::Measured(Thresholds::at_most(0.0, 0.0)),
    });
    findings
}

async fn measure_changes(pair: &SharingPair, alone: &Server, scale: &Scale) -> Vec<Finding> {
    let [few, many] = [scale.senders, MANY * scale.senders];
    let mut baseline = ChangingUsers::open(&[alone], many, scale).await;
    let mut measured = ChangingUsers::open(&pair.servers(), many, scale).await;
    let mut rounds = [few, many].map(|count| (count, Vec::new()));
    for _ in 0..=scale.rounds {
        for (count, rounds) in &mut rounds {
            let baseline = baseline.run_round(*count, scale.round, None).await;
            let measured = measured.run_round(*count, scale.round, Some(pair)).await;
            rounds.push((baseline, measured));
        }
    }
    let [few, many] = rounds.map(|(_, mut rounds)| {
        // A first round is not counted.
        rounds.remove(0);
        rounds
    });
    [findings_of(&SMALL_BATCHES, &few), findings_of(&LARGE_BATCHES, &many)].concat()
}

fn findings_of(names: &BatchRows, rounds: &[(ChangeRound, ChangeRound)]) -> Vec<Finding> {
    let beside = |value: fn(&ChangeRound) -> f64| Pair::of_rounds(rounds, value);
    let shared = |value: fn(&ChangeRound) -> f64| {
        rounds.iter().map(|(_, shared)| Pair::alone(value(shared))).collect()
    };
    let row = |what, unit, rounds, judged| Finding { what, unit, rounds, judged };
    vec![
        row(
            names.size,
            "changes",
            shared(|round| round.batch),
            Judged::Measured(Thresholds::at_least(names.least, names.least)),
        ),
        row(
            names.database,
            "µs of CPU",
            shared(|round| round.database_micros),
            Judged::Measured(Thresholds::at_most(names.gate, names.aim)),
        ),
        row(names.servers, "µs of CPU", beside(|it| it.server_micros), Judged::Nothing),
        row(names.rate, "changes/s", beside(|it| it.rate), Judged::Nothing),
        row(names.answer, "ms", beside(|it| it.p99), Judged::Nothing),
    ]
}

async fn measure_notifications(pair: &SharingPair, scale: &Scale) -> Vec<Finding> {
    let mut senders = Senders::open(&pair.servers(), RECEIVERS * scale.receivers, scale).await;
    let (mut quick, mut slow): (Vec<SentBatch>, Vec<SentBatch>) = (Vec::new(), Vec::new());
    for _ in 0..scale.rounds {
        quick.push(senders.send_for(scale.round / 2).await);
        pair.database.set_flush_delay(5000);
        slow.push(senders.send_for(scale.round / 2).await);
        pair.database.set_flush_delay(0);
    }
    let rates = |batches: &[SentBatch]| batches.iter().map(|it| Pair::alone(it.rate())).collect();
    vec![
        Finding {
            what: "two servers: durable notify",
            unit: "notifications/s",
            rounds: rates(&quick),
            judged: Judged::Measured(Thresholds::at_least(10_000.0, 20_000.0)),
        },
        Finding {
            what: "two servers: durable notify, each flush 5 ms longer",
            unit: "notifications/s",
            rounds: rates(&slow),
            judged: Judged::Measured(Thresholds::at_least(10_000.0, 20_000.0)),
        },
        Finding {
            what: "two servers: durable notify, p99",
            unit: "ms",
            rounds: quick.iter().map(|it| Pair::alone(it.p99)).collect(),
            judged: Judged::Nothing,
        },
    ]
}
