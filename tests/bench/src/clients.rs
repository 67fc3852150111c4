//! Users and devices that the load generator drives.

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use presence_client::Puid;
use presence_tests::{Application, Server, User};
use serde_json::json;

use crate::sides::Side;
use crate::wire::{Wire, frame};

/// The number of users that sign in at once.
const AT_ONCE: usize = 16;
const OK: &[u8] = br#"{"result":"OK"}"#;

/// A signed-in user.
#[derive(Clone)]
pub(crate) struct SignedInUser {
    pub(crate) token: String,
    pub(crate) uid: Puid,
}

/// Signs users in, each with a grant for an Application.
pub(crate) async fn sign_in_users(
    server: &Server,
    application: &Application,
    name: &str,
    count: usize,
) -> Vec<SignedInUser> {
    let mut users = Vec::with_capacity(count);
    for first in (0..count).step_by(AT_ONCE) {
        let numbers = first..count.min(first + AT_ONCE);
        let joining: FuturesOrdered<_> = numbers
            .map(|number| async move {
                let user: User = server.sign_in(&format!("{name}{number}")).await;
                SignedInUser { uid: user.grant(application).await, token: user.token }
            })
            .collect();
        users.extend(joining.collect::<Vec<_>>().await);
    }
    users
}

/// A connected device that is online. Its reports alternate between two statuses.
pub(crate) struct Device {
    wire: Wire,
    frames: [Vec<u8>; 2],
    /// The answer to each report.
    ok: &'static [u8],
    round: usize,
}

impl Device {
    /// Uses an open socket. The reports alternate between two frames, each answered by `ok`.
    pub(crate) fn of(wire: Wire, frames: [Vec<u8>; 2], ok: &'static [u8]) -> Self {
        Self { wire, frames, ok, round: 0 }
    }

    /// Connects the `number`-th socket of a side and reports a first status.
    pub(crate) async fn connect(side: Side, number: usize, user: &SignedInUser) -> Self {
        let wire = Wire::open(side.address, side.devices, number, "").await;
        let hello = json!({"token": user.token, "device": "bench", "status": "online"});
        let frames = ["unavailable", "online"].map(|it| frame(&json!({"status": it}).to_string()));
        let mut device = Self::of(wire, frames, OK);
        device.wire.send(&frame(&hello.to_string())).await;
        device.expect_ok().await;
        device
    }

    /// Reports the other status, and waits for the OK.
    pub(crate) async fn report(&mut self) {
        self.send().await;
        self.expect_ok().await;
    }

    /// Reports the other status.
    pub(crate) async fn send(&mut self) {
        self.wire.send(&self.frames[self.round % 2]).await;
        self.round += 1;
    }

    /// Sends a frame with this text, and waits for the OK.
    pub(crate) async fn send_and_expect_ok(&mut self, text: &str) {
        self.wire.send(&frame(text)).await;
        self.expect_ok().await;
    }

    /// Breaks the connection. The user keeps the presence for the grace time.
    pub(crate) fn lose(self) {
        self.wire.reset();
    }

    pub(crate) async fn expect_ok(&mut self) {
        let answer = self.wire.text().await;
        assert!(answer == self.ok, "refused: {}", String::from_utf8_lossy(answer));
    }
}

/// Connects one device for each user.
pub(crate) async fn devices(side: Side, users: &[SignedInUser]) -> Vec<Device> {
    let mut devices = Vec::with_capacity(users.len());
    for (number, user) in users.iter().enumerate() {
        devices.push(Device::connect(side, number, user).await);
    }
    devices
}
