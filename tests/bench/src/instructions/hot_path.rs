//! The hot paths: each operation begins when the one before it is answered, so that it is always
//! the same.

use presence_tests::{Application, Server};
use serde_json::json;

use crate::clients::{self, Device, SignedInUser};
use crate::http_wire::{HttpWire, request};
use crate::sides::Side;
use crate::subscribers;
use crate::wire::{Wire, frame};

/// The number of users.
const USERS: usize = 50;

/// A path with what it needs.
pub(super) enum HotPath {
    /// A device of a user whom an Application may see, but does not follow, reports a status.
    Status(Box<Device>),
    /// A device reports a status, and a socket of the Application receives it.
    Delivery(Box<Device>, Wire),
    /// A device connects and reports its first status.
    Connect { side: Side, users: Vec<SignedInUser>, devices: Vec<Device> },
    /// A socket of the Application sends a notification to a user who is offline.
    Notify(Wire, Vec<Vec<u8>>),
    /// Calls over REST, in turn.
    Call { name: &'static str, wire: HttpWire, requests: Vec<Vec<u8>> },
}

impl HotPath {
    /// Prepares all paths at a server, each with a user or an Application of its own.
    pub(super) async fn all(server: &Server) -> Vec<Self> {
        let side = Side::of(server);
        let owner = server.sign_in("developer").await;
        let quiet = server.application_named(&owner, "Quiet").await;
        let notifying = server.application_named(&owner, "Notifying").await;
        let followed = server.application_named(&owner, "Followed").await;
        let seen = clients::sign_in_users(server, &quiet, "seen", 1).await;
        let receivers = clients::sign_in_users(server, &notifying, "receiver", USERS).await;
        let watched = clients::sign_in_users(server, &followed, "watched", 1).await;
        let users = clients::sign_in_users(server, &quiet, "user", USERS).await;
        let mut paths = vec![
            Self::Status(Box::new(Device::connect(side, 0, &seen[0]).await)),
            Self::notifies(side, &notifying, &receivers).await,
            Self::calls(side, &notifying, &receivers).await,
            Self::polls(side, &quiet, &seen[0]).await,
            Self::Connect { side, users, devices: Vec::new() },
        ];
        let device = Device::connect(side, 0, &watched[0]).await;
        let wire = subscribers::open(side, 0, &followed).await;
        paths.push(Self::Delivery(Box::new(device), wire));
        paths
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::Delivery(..) => "status and its delivery",
            Self::Connect { .. } => "connect",
            Self::Notify(..) => "notification",
            Self::Call { name, .. } => name,
        }
    }

    /// Returns the number of operations in a round: so many that the work of the server's other
    /// tasks does not count. No user has more than 100 notifications waiting.
    pub(super) fn operations(&self) -> usize {
        match self {
            Self::Status(_) | Self::Delivery(..) => 1_000,
            Self::Connect { .. } => USERS,
            Self::Notify(..) | Self::Call { .. } => 4 * USERS,
        }
    }

    /// Runs a round.
    pub(super) async fn run(&mut self) {
        for number in 0..self.operations() {
            match self {
                Self::Status(device) => device.report().await,
                Self::Delivery(device, wire) => {
                    device.report().await;
                    wire.text().await;
                }
                Self::Connect { side, users, devices } => {
                    devices.push(Device::connect(*side, number, &users[number]).await);
                }
                Self::Notify(wire, frames) => {
                    let answer = wire.ask(&frames[number % frames.len()]).await;
                    let taken = answer.starts_with(br#"{"action":"notify","result":"OK""#);
                    assert!(taken, "refused: {}", String::from_utf8_lossy(answer));
                }
                Self::Call { wire, requests, .. } => {
                    wire.call(&requests[number % requests.len()]).await;
                }
            }
        }
    }

    /// Closes what a round has opened.
    pub(super) fn end_round(&mut self) {
        if let Self::Connect { devices, .. } = self {
            devices.clear();
        }
    }

    async fn calls(side: Side, application: &Application, users: &[SignedInUser]) -> Self {
        let path = format!("/apps/{}/notifications", application.appid);
        let notify = |user: &SignedInUser| {
            let item = json!({"uid": user.uid, "message": "Lunch at one?", "action": ""});
            let body = json!({"notifications": [item]}).to_string();
            request("POST", &path, &application.api_key, Some(&body))
        };
        let wire = HttpWire::open(side.address, 0).await;
        let requests = users.iter().map(notify).collect();
        Self::Call { name: "notification by HTTP", wire, requests }
    }

    async fn polls(side: Side, application: &Application, user: &SignedInUser) -> Self {
        let path = format!("/apps/{}/presence?uid={}", application.appid, user.uid);
        let requests = vec![request("GET", &path, &application.api_key, None)];
        Self::Call { name: "poll", wire: HttpWire::open(side.address, 0).await, requests }
    }

    async fn notifies(side: Side, application: &Application, users: &[SignedInUser]) -> Self {
        let notify = |user: &SignedInUser| {
            let item = json!({"uid": user.uid, "message": "Lunch at one?", "action": ""});
            frame(&json!({"action": "notify", "notifications": [item]}).to_string())
        };
        let wire = subscribers::open(side, 0, application).await;
        Self::Notify(wire, users.iter().map(notify).collect())
    }
}
