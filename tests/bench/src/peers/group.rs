//! The three servers, and rounds that alternate between them.

use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::process::Command;

use super::centrifugo::CentrifugoPeer;
use super::peer::Peer;
use super::presence::PresencePeer;
use super::uwebsockets::UWebSocketsPeer;

/// The names of the servers, in the order of all arrays.
pub(crate) const NAMES: [&str; 3] = ["Presence", "Centrifugo", "uWebSockets.js"];

/// The programs of the peers.
pub(crate) struct Programs {
    /// The file of Centrifugo.
    pub(crate) centrifugo: PathBuf,
    /// The folder with `server.js` and its packages.
    pub(crate) uwebsockets: PathBuf,
}

impl Programs {
    /// Starts all three anew. Presence has so many users.
    pub(crate) async fn start(&self, users: usize) -> [Box<dyn Peer>; 3] {
        [
            Box::new(PresencePeer::start(users).await),
            Box::new(CentrifugoPeer::start(&self.centrifugo).await),
            Box::new(UWebSocketsPeer::start(&self.uwebsockets).await),
        ]
    }

    /// Returns the versions of the peers and of Node.
    pub(crate) async fn versions(&self) -> Value {
        let package = "node_modules/@trufflesuite/uws-js-unofficial/package.json";
        let package = std::fs::read_to_string(self.uwebsockets.join(package)).unwrap();
        let package: Value = serde_json::from_str(&package).unwrap();
        json!({
            "Centrifugo": first_line(Command::new(&self.centrifugo).arg("version")).await,
            "uWebSockets.js": package["version"],
            "Node": first_line(Command::new("node").arg("--version")).await,
        })
    }
}

async fn first_line(command: &mut Command) -> String {
    let answer = command.output().await.unwrap();
    let text = String::from_utf8_lossy(&answer.stdout);
    text.lines().next().unwrap_or_default().to_owned()
}

/// Measures rounds of all sides in turn. A first round is not counted.
pub(crate) async fn in_turn<S>(
    sides: &mut [S; 3],
    rounds: usize,
    run_round: impl AsyncFn(&mut S) -> f64,
) -> Vec<[f64; 3]> {
    let mut found = Vec::with_capacity(rounds);
    for round in 0..=rounds {
        let mut values = [0.0; 3];
        for (side, value) in sides.iter_mut().zip(&mut values) {
            *value = run_round(side).await;
        }
        if round > 0 {
            found.push(values);
        }
    }
    found
}
