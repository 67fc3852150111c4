//! The time from a report at one server until a socket at the other one has it, at a fixed rate,
//! while durable notifications are sent, each flush is slow, and a transaction stays open.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use presence_tests::Application;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval_at, timeout};

use super::pair::SharingPair;
use crate::clients::{self, SignedInUser};
use crate::report::{Finding, Judged, Pair, Thresholds, p99};
use crate::scale::Scale;
use crate::sides::Side;
use crate::subscribers;
use crate::wire::{Wire, frame};

/// The number of devices for each of the scale's connections, each of which reports ten times a
/// second: 3,000 reports a second in a full run.
const DEVICES: usize = 3;
/// The time between two reports of a device.
const PACE: Duration = Duration::from_millis(100);
/// The number of senders for each ten connections, each of which sends ten items ten times a
/// second: 1,000 notifications a second in a full run.
const ITEMS: usize = 10;

/// The times of the reports and of their updates, since the start.
struct Probe {
    begun: Instant,
    is_over: AtomicBool,
}

pub(crate) async fn measure(pair: &SharingPair, scale: &Scale) -> Finding {
    let [one, other] = pair.servers();
    let owner = one.sign_in("developer").await;
    let application = one.application_named(&owner, "Probe").await;
    let count = DEVICES * scale.connections;
    let users = clients::sign_in_users(one, &application, "probe", count).await;
    let away = clients::sign_in_users(one, &application, "away", scale.connections).await;
    let sides = [Side::of(one), Side::of(other)];
    pair.database.set_flush_delay(5000);
    let longest = scale.round * u32::try_from(scale.rounds + 2).unwrap();
    let mut snapshot = pair.database.open_snapshot(longest);
    let mut rounds = Vec::new();
    for _ in 0..=scale.rounds {
        let probe = Arc::new(Probe { begun: Instant::now(), is_over: AtomicBool::new(false) });
        rounds.push(run_round(&probe, sides, (&application, &users, &away), scale).await);
    }
    // A first round is not counted.
    rounds.remove(0);
    pair.database.set_flush_delay(0);
    snapshot.wait().unwrap();
    Finding {
        what: "two servers: report at one → socket at the other, p99",
        unit: "ms",
        rounds: rounds.into_iter().map(Pair::alone).collect(),
        judged: Judged::Measured(Thresholds::at_most(30.0, 15.0)),
    }
}

async fn run_round(
    probe: &Arc<Probe>,
    sides: [Side; 2],
    (application, users, away): (&Application, &[SignedInUser], &[SignedInUser]),
    scale: &Scale,
) -> f64 {
    let mut listening = JoinSet::new();
    for (server, side) in sides.into_iter().enumerate() {
        let wire = subscribers::open(side, 0, application).await;
        listening.spawn(listen(wire, server, Arc::clone(probe)));
    }
    let mut sending = JoinSet::new();
    for (number, user) in users.iter().enumerate() {
        let mut wire = Wire::open(sides[number % 2].address, "/presence", number, "").await;
        let hello = json!({"token": user.token, "device": "probe", "status": "online"});
        wire.ask(&frame(&hello.to_string())).await;
        let first = tokio::time::Instant::now() + PACE.mul_f64(number as f64 / users.len() as f64);
        sending.spawn(report(wire, number % 2, first, Arc::clone(probe)));
    }
    for sender in 0..scale.connections.div_ceil(10) {
        let wire = subscribers::open(sides[sender % 2], sender, application).await;
        let items: Vec<Value> = away
            .iter()
            .cycle()
            .skip(sender * ITEMS)
            .take(ITEMS)
            .map(|user| json!({"uid": user.uid, "message": "Lunch at one?", "action": ""}))
            .collect();
        let request = json!({"action": "notify", "notifications": items});
        sending.spawn(notify(wire, frame(&request.to_string()), Arc::clone(probe)));
    }
    tokio::time::sleep(scale.round).await;
    probe.is_over.store(true, Ordering::Relaxed);
    while let Some(sent) = sending.join_next().await {
        sent.unwrap();
    }
    let mut millis = Vec::new();
    while let Some(heard) = listening.join_next().await {
        millis.append(&mut heard.unwrap());
    }
    p99(&mut millis)
}

/// Reports at a fixed pace. The text is the number of the server and the time, in microseconds.
async fn report(mut wire: Wire, server: usize, first: tokio::time::Instant, probe: Arc<Probe>) {
    let mut ticks = interval_at(first, PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !probe.is_over.load(Ordering::Relaxed) {
        ticks.tick().await;
        let message = format!("{server} {}", probe.begun.elapsed().as_micros());
        let status = json!({"status": "online", "message": message});
        wire.ask(&frame(&status.to_string())).await;
    }
}

async fn notify(mut wire: Wire, request: Vec<u8>, probe: Arc<Probe>) {
    let mut ticks = tokio::time::interval(PACE);
    while !probe.is_over.load(Ordering::Relaxed) {
        ticks.tick().await;
        wire.send(&request).await;
        while !wire.text().await.starts_with(br#"{"action":"notify""#) {}
    }
}

/// Receives the updates at one server, and returns the times since their reports at the other one,
/// in milliseconds.
async fn listen(mut wire: Wire, server: usize, probe: Arc<Probe>) -> Vec<f64> {
    let mut millis = Vec::new();
    while !probe.is_over.load(Ordering::Relaxed) {
        let Ok(text) = timeout(PACE, wire.text()).await else { continue };
        let received: Value = serde_json::from_slice(text).unwrap();
        let now = probe.begun.elapsed();
        for update in received["presence"].as_array().into_iter().flatten() {
            let text = update["message"].as_str().and_then(|text| text.split_once(' '));
            let Some((at, micros)) = text else { continue };
            if at != server.to_string() {
                let sent = Duration::from_micros(micros.parse().unwrap());
                millis.push(now.saturating_sub(sent).as_secs_f64() * 1e3);
            }
        }
    }
    millis
}
