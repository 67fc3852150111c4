//! The rows of statuses and notifications: the loads of the rows of the same names in `rows`.

use super::group::{Programs, in_turn};
use super::peer::Peer;
use super::table::PeerFinding;
use crate::http_wire::HttpWire;
use crate::rows::fan_in::{FanInSide, MARK, Pace};
use crate::rows::fan_out::{BURST, FanOutSide};
use crate::rows::rest::{self, Calls};
use crate::rows::status::StatusSide;
use crate::scale::Scale;
use crate::subscribers::Subscribers;
use crate::system::Process;

/// The number of HTTP connections, with one notification in flight each.
const SENDERS: usize = 20;

/// Measures a status until its OK, without a follower.
pub(crate) async fn status(programs: &Programs, scale: &Scale) -> Vec<PeerFinding> {
    let peers = programs.start(scale.connections).await;
    let open = async |peer: &dyn Peer| StatusSide {
        process: peer.process(),
        devices: peer.connect_users(scale.connections).await,
    };
    let mut sides = open_each(&peers, open).await;
    let rounds = in_turn(&mut sides, scale.rounds, async |side| {
        let round = side.run_round(scale.round).await;
        round.cost.micros_each(round.operations)
    })
    .await;
    let what = "a status until its OK";
    vec![PeerFinding { what, unit: "µs of server CPU", rounds }]
}

/// Measures the statuses of many users to one follower.
pub(crate) async fn fan_in(programs: &Programs, scale: &Scale) -> Vec<PeerFinding> {
    let users = scale.connections + 1;
    let peers = programs.start(users).await;
    let open = async |peer: &dyn Peer| {
        let devices = peer.connect_users(users).await;
        let follower = peer.follow(1, MARK).await;
        FanInSide::of(peer.process(), devices, follower, peer.texts().is_merging)
    };
    let mut sides = open_each(&peers, open).await;
    let rounds = in_turn(&mut sides, scale.rounds, async |side| {
        let round = side.run_round(scale.round, Pace::Answered).await;
        round.cost.micros_each(round.received)
    })
    .await;
    let what = "100 users → one follower";
    vec![PeerFinding { what, unit: "µs of server CPU a delivery", rounds }]
}

/// Measures one status to many followers, and bursts.
pub(crate) async fn fan_out(programs: &Programs, scale: &Scale) -> Vec<PeerFinding> {
    let peers = programs.start(BURST).await;
    let open = async |peer: &dyn Peer| FanOutSide {
        process: peer.process(),
        devices: peer.connect_users(BURST).await,
        subscribers: peer.follow(scale.sockets, "no mark").await,
    };
    let mut sides = open_each(&peers, open).await;
    let mut findings = Vec::new();
    for (what, load) in [
        ("one status → 100 followers", (1, scale.steps)),
        ("20 statuses at once → 100 followers", (BURST, scale.steps / 2)),
    ] {
        let rounds = in_turn(&mut sides, scale.rounds, async |side| {
            let round = side.run_round(load).await;
            round.cost.micros_each(round.deliveries)
        })
        .await;
        findings.push(PeerFinding { what, unit: "µs of server CPU a delivery", rounds });
    }
    findings
}

/// Measures notifications by HTTP to users who are connected.
pub(crate) async fn notify(programs: &Programs, scale: &Scale) -> Vec<PeerFinding> {
    let peers = programs.start(scale.connections).await;
    let mut sides =
        open_each(&peers, async |peer| NotifiedUsers::open(peer, scale.connections).await).await;
    let rounds = in_turn(&mut sides, scale.rounds, async |side| {
        let load = (usize::MAX, scale.round / 2);
        let micros = rest::run_round(side.process, &mut side.wires, &side.calls, load).await;
        side.receivers.settle().await;
        assert_eq!(side.receivers.received(), side.calls.made(), "each notification arrives once");
        micros
    })
    .await;
    let what = "a notification by HTTP to a connected user";
    vec![PeerFinding { what, unit: "µs of server CPU", rounds }]
}

async fn open_each<S>(peers: &[Box<dyn Peer>; 3], open: impl AsyncFn(&dyn Peer) -> S) -> [S; 3] {
    let [first, second, third] = peers;
    [open(&**first).await, open(&**second).await, open(&**third).await]
}

/// Connected users, and senders of notifications to them.
struct NotifiedUsers {
    process: Process,
    receivers: Subscribers,
    wires: Vec<HttpWire>,
    calls: Calls,
}

impl NotifiedUsers {
    async fn open(peer: &dyn Peer, users: usize) -> Self {
        let receivers = peer.receive(users).await;
        let mut wires = Vec::with_capacity(SENDERS);
        for number in 0..SENDERS {
            wires.push(HttpWire::open(peer.address(), number).await);
        }
        let requests = (0..users).map(|user| peer.notification(user)).collect();
        Self { process: peer.process(), receivers, wires, calls: Calls::of(requests, None) }
    }
}
