//! Calls over REST, each on a connection that stays open: the baseline is the call of the same
//! server that does nothing, `GET /__lbheartbeat__`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use presence_tests::Application;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::clients::{self, SignedInUser};
use crate::http_wire::{HttpWire, request};
use crate::report::{Finding, Judged, Pair, Thresholds};
use crate::scale::Scale;
use crate::sides::{Side, cost, start_server, unlimited};
use crate::system::Process;

/// The number of connections for each of the scale's, with one call in flight each: 20 in a full
/// run.
const CONNECTIONS_DIVISOR: usize = 5;
/// The number of notifications of the call with many.
const MANY: usize = 100;
/// The maximum number of pending notifications of a user, before older ones are dropped.
const QUEUE: usize = 100;

/// A kind of call.
struct CallKind {
    what: &'static str,
    unit: &'static str,
    /// The number of items of a call.
    items: usize,
    thresholds: Option<Thresholds>,
    calls: Calls,
}

/// Requests that are made in turn.
pub(crate) struct Calls {
    requests: Arc<[Vec<u8>]>,
    next: Arc<AtomicUsize>,
    /// The maximum number of calls in all rounds.
    limit: Option<usize>,
}

impl Calls {
    /// `each` is the maximum number of calls with each request in all rounds.
    pub(crate) fn of(requests: Vec<Vec<u8>>, each: Option<usize>) -> Self {
        let limit = each.map(|each| each * requests.len());
        Self { requests: requests.into(), next: Arc::default(), limit }
    }

    /// Returns the number of calls that were made.
    pub(crate) fn made(&self) -> u64 {
        self.next.load(Ordering::Relaxed) as u64
    }
}

pub(crate) async fn measure(scale: &Scale) -> Vec<Finding> {
    let server = start_server(unlimited().with("app-notify-burst", 1_000_000)).await;
    let owner = server.sign_in("developer").await;
    let application = server.application(&owner).await;
    let users = clients::sign_in_users(&server, &application, "user", scale.receivers).await;
    let side = Side::of(&server);
    let mut wires = Vec::new();
    for number in 0..scale.connections.div_ceil(CONNECTIONS_DIVISOR) {
        wires.push(HttpWire::open(side.address, number).await);
    }
    let nothing = Calls::of(vec![request("GET", "/__lbheartbeat__", "", None)], None);
    let mut findings = Vec::new();
    for CallKind { what, unit, items, thresholds, calls } in kinds(&application, &users) {
        let most = calls.limit.map_or(usize::MAX, |limit| limit / (scale.rounds + 1));
        let mut rounds = Vec::new();
        for _ in 0..=scale.rounds {
            let baseline =
                run_round(side.process, &mut wires, &nothing, (usize::MAX, scale.round / 4));
            let baseline = baseline.await;
            let measured =
                run_round(side.process, &mut wires, &calls, (most, scale.round / 2)).await;
            rounds.push(Pair::new(baseline, measured / items as f64));
        }
        // A first round is not counted.
        rounds.remove(0);
        let judged = thresholds.map_or(Judged::Nothing, Judged::Measured);
        findings.push(Finding { what, unit, rounds, judged });
    }
    findings
}

fn kinds(application: &Application, users: &[SignedInUser]) -> Vec<CallKind> {
    let app = &application.appid;
    let item = |user: &SignedInUser| json!({"uid": user.uid, "message": "Lunch at one?", "action": "", "ttl": 3600});
    let notify = |items: Vec<Value>| {
        let body = json!({"notifications": items}).to_string();
        let path = format!("/apps/{app}/notifications");
        request("POST", &path, &application.api_key, Some(&body))
    };
    let one = users.iter().map(|user| notify(vec![item(user)])).collect();
    let many = users.chunks(MANY).map(|users| notify(users.iter().map(item).collect())).collect();
    let path = |user: &SignedInUser| format!("/apps/{app}/presence?uid={}", user.uid);
    let poll = |user| request("GET", &path(user), &application.api_key, None);
    let of_user = |path: &'static str| CallKind {
        what: path,
        unit: "µs of server CPU",
        items: 1,
        thresholds: None,
        calls: Calls::of(
            users.iter().map(|user| request("GET", path, &user.token, None)).collect(),
            None,
        ),
    };
    vec![
        CallKind {
            what: "a notification by HTTP, on disk",
            unit: "µs of server CPU",
            items: 1,
            thresholds: Some(Thresholds::at_most(150.0, 45.0)),
            calls: Calls::of(one, Some(QUEUE * 3 / 10)),
        },
        CallKind {
            what: "100 notifications by HTTP, on disk, each",
            unit: "µs of server CPU",
            items: MANY.min(users.len()),
            thresholds: Some(Thresholds::at_most(14.0, 7.0)),
            calls: Calls::of(many, Some(QUEUE * 6 / 10)),
        },
        CallKind {
            what: "a poll of one user",
            unit: "µs of server CPU",
            items: 1,
            thresholds: Some(Thresholds::at_most(120.0, 20.0)),
            calls: Calls::of(users.iter().map(poll).collect(), None),
        },
        CallKind { what: "GET /devices", ..of_user("/devices") },
        CallKind { what: "GET /grants", ..of_user("/grants") },
    ]
}

/// Makes calls at all connections until the time is over or the number is reached. Returns the
/// server's CPU time of each call, in microseconds.
pub(crate) async fn run_round(
    process: Process,
    wires: &mut Vec<HttpWire>,
    calls: &Calls,
    (most, time): (usize, Duration),
) -> f64 {
    let begun = Instant::now();
    let first = calls.next.load(Ordering::Relaxed);
    let last = first.saturating_add(most);
    let mut tasks = JoinSet::new();
    for mut wire in wires.drain(..) {
        let (requests, next) = (Arc::clone(&calls.requests), Arc::clone(&calls.next));
        tasks.spawn(async move {
            while begun.elapsed() < time && next.load(Ordering::Relaxed) < last {
                let place = next.fetch_add(1, Ordering::Relaxed);
                wire.call(&requests[place % requests.len()]).await;
            }
            wire
        });
    }
    let ((), cost) = cost(process, async {
        while let Some(done) = tasks.join_next().await {
            wires.push(done.unwrap());
        }
    })
    .await;
    cost.micros_each((calls.next.load(Ordering::Relaxed) - first) as u64)
}
