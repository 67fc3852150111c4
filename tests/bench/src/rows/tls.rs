//! Devices that connect over TLS and then are idle.

use presence_tests::{CertificateAuthority, Server, Socket, SocketRequest};
use serde_json::json;

use super::devices::SETTLE_TIME;
use crate::clients::{self, SignedInUser};
use crate::report::{Finding, Judged, Pair, Thresholds};
use crate::scale::Scale;
use crate::sides::{restart, start_server, unlimited};
use crate::system::{Process, allow_open_files};

/// The number of devices that connect at once.
const AT_ONCE: usize = 50;

pub(crate) async fn measure(scale: &Scale) -> Vec<Finding> {
    allow_open_files(scale.arrivals as u64 + 1_000);
    let authority = CertificateAuthority::default();
    let mut server = start_server(unlimited().over_tls(&authority)).await;
    let owner = server.sign_in("developer").await;
    let application = server.application(&owner).await;
    let count = scale.arrivals + AT_ONCE;
    let users = clients::sign_in_users(&server, &application, "user", count).await;
    // Memory that is left from signing in would hide the memory of the devices.
    restart(&mut server).await;
    let (warm, users) = users.split_at(AT_ONCE);
    let process = Process::of(server.pid());
    let warm = connect(&server, warm).await;
    tokio::time::sleep(SETTLE_TIME).await;
    let before = process.private_kib();
    let devices = connect(&server, users).await;
    tokio::time::sleep(SETTLE_TIME).await;
    let each = (process.private_kib() - before) / devices.len() as f64;
    drop((warm, devices));
    vec![Finding {
        what: "an idle device with a grant over TLS",
        unit: "KiB of private memory",
        rounds: vec![Pair::alone(each)],
        judged: Judged::Measured(Thresholds::at_most(24.0, 12.0)),
    }]
}

/// Connects a device of each user.
async fn connect(server: &Server, users: &[SignedInUser]) -> Vec<Socket> {
    let mut devices = Vec::with_capacity(users.len());
    for users in users.chunks(AT_ONCE) {
        let connecting = users.iter().map(|user| async move {
            let mut device = Socket::open(server, SocketRequest::device()).await;
            let hello = json!({"token": user.token, "device": "bench", "status": "online"});
            device.send(hello).await;
            device.expect_ok().await;
            device
        });
        devices.extend(futures_util::future::join_all(connecting).await);
    }
    devices
}
