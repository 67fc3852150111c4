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

use changes::ChangeRound;
use pair::SharingPair;

/// The number of users who receive notifications, for each of the scale's receivers: 4,000 in a
/// full run.
const RECEIVERS: usize = 4;

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
    let mut baseline = changes::ChangingUsers::open(&[alone], scale).await;
    let mut measured = changes::ChangingUsers::open(&pair.servers(), scale).await;
    let mut rounds: Vec<(ChangeRound, ChangeRound)> = Vec::new();
    for _ in 0..=scale.rounds {
        let baseline = baseline.run_round(scale.round, None).await;
        let measured = measured.run_round(scale.round, Some(pair)).await;
        rounds.push((baseline, measured));
    }
    // A first round is not counted.
    rounds.remove(0);
    let beside = |value: fn(&ChangeRound) -> f64| Pair::of_rounds(&rounds, value);
    vec![
        Finding {
            what: "two servers: a change told to 3 Applications, PostgreSQL",
            unit: "µs of CPU",
            rounds: rounds.iter().map(|(_, it)| Pair::alone(it.database_micros)).collect(),
            judged: Judged::Measured(Thresholds::at_most(80.0, 60.0)),
        },
        Finding {
            what: "two servers: a change told to 3 Applications, the servers",
            unit: "µs of CPU",
            rounds: beside(|round| round.server_micros),
            judged: Judged::Nothing,
        },
        Finding {
            what: "two servers: changes by the clock",
            unit: "changes/s",
            rounds: beside(|round| round.rate),
            judged: Judged::Nothing,
        },
        Finding {
            what: "two servers: status → OK, p99",
            unit: "ms",
            rounds: beside(|round| round.p99),
            judged: Judged::Nothing,
        },
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
