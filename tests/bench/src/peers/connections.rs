//! Users who connect, report a first status, and then are idle.

use super::group::{Programs, in_turn};
use super::peer::Peer;
use super::table::PeerFinding;
use crate::rows::devices::{ConnectedDevices, SETTLE_TIME};
use crate::scale::Scale;
use crate::system::allow_open_files;

/// The part of the scale's arrivals that connect in a round. All sockets of the three servers are
/// open at the end: 18,000 in a full run.
const ARRIVALS_DIVISOR: usize = 2;

/// A server, and the users who are connected to it.
struct PeerConnections<'peer> {
    peer: &'peer dyn Peer,
    users: ConnectedDevices,
}

impl<'peer> PeerConnections<'peer> {
    fn of(peer: &'peer dyn Peer) -> Self {
        Self { peer, users: ConnectedDevices::none(peer.process()) }
    }

    /// Connects further users, and returns the CPU time of each, in microseconds.
    async fn connect(&mut self, count: usize) -> f64 {
        let peer = self.peer;
        self.users.connect_all(count, async |number| peer.connect_user(number).await).await
    }
}

pub(crate) async fn measure(programs: &Programs, scale: &Scale) -> Vec<PeerFinding> {
    let arrivals = scale.arrivals / ARRIVALS_DIVISOR;
    // A first round is not counted.
    let users = (scale.rounds + 1) * arrivals;
    allow_open_files(3 * users as u64 + 1_000);
    let peers = programs.start(users).await;
    // The memory is measured from a server that is ready and has nothing to do.
    tokio::time::sleep(SETTLE_TIME).await;
    let mut sides = peers.each_ref().map(|peer| PeerConnections::of(&**peer));
    let connects =
        in_turn(&mut sides, scale.rounds, async |side| side.connect(arrivals).await).await;
    tokio::time::sleep(SETTLE_TIME).await;
    let memory_each = sides.each_ref().map(|side| side.users.memory_each());
    let memory = peers.each_ref().map(|peer| peer.process().private_kib() / 1024.0);
    vec![
        PeerFinding {
            what: "connect, handshake, first status",
            unit: "µs of server CPU",
            rounds: connects,
        },
        PeerFinding {
            what: "a connected user who is idle",
            unit: "KiB of private memory",
            rounds: vec![memory_each],
        },
        PeerFinding {
            what: "the server with all users connected",
            unit: "MiB of private memory",
            rounds: vec![memory],
        },
    ]
}
