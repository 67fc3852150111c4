//! A server that has reached its limit of open files while more connections wait to be accepted. It
//! must not use a whole core, and must keep serving the connected devices.

use std::net::SocketAddr;
use std::time::Duration;

use presence_tests::TIMEOUT;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::clients::{self, Device};
use crate::report::{Finding, Judged, Pair, Thresholds};
use crate::scale::Scale;
use crate::sides::{Side, cost, start_server, unlimited};
use crate::system::with_open_files;

/// The time after which a device that is not connected waits for a free file.
const FULL_AFTER: Duration = Duration::from_secs(2);

pub(crate) async fn measure(scale: &Scale) -> Vec<Finding> {
    let server = with_open_files(scale.files, start_server(unlimited())).await;
    let side = Side::of(&server);
    let owner = server.sign_in("developer").await;
    let application = server.application(&owner).await;
    let count = usize::try_from(scale.files).unwrap();
    let users = clients::sign_in_users(&server, &application, "user", count).await;
    // Devices fill the server, because it closes idle connections that are none to let others in.
    let mut devices = Vec::new();
    let late_device = loop {
        let user = &users[devices.len()];
        let mut connecting = Box::pin(Device::connect(side, devices.len(), user));
        match timeout(FULL_AFTER, &mut connecting).await {
            Ok(device) => devices.push(device),
            // The first connection beyond the limit is not refused: it waits.
            Err(_) => break connecting,
        }
    };
    let waiting = connect(side.address, scale.files / 2).await;
    let mut rounds = Vec::new();
    for _ in 0..scale.rounds {
        let ((), cost) = cost(side.process, tokio::time::sleep(scale.round)).await;
        rounds.push(Pair::alone(100.0 * cost.cpu.as_secs_f64() / cost.clock.as_secs_f64()));
        devices[0].report().await;
    }
    drop((devices, waiting));
    timeout(TIMEOUT, late_device).await.unwrap();
    vec![Finding {
        what: "a server at its file limit",
        unit: "% of a core",
        rounds,
        judged: Judged::Measured(Thresholds::at_most(10.0, 1.0)),
    }]
}

/// Opens connections that send nothing.
async fn connect(server: SocketAddr, count: u64) -> Vec<TcpStream> {
    let mut waiting = Vec::new();
    for _ in 0..count {
        let opening = timeout(Duration::from_secs(1), TcpStream::connect(server));
        waiting.push(opening.await.unwrap().unwrap());
    }
    waiting
}
