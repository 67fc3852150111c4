//! A server that has reached its limit of open files by connections that send nothing, while more
//! of them wait. It must not use a whole core, must keep serving the connected devices, and must
//! let another device in.

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

pub(crate) async fn measure(scale: &Scale) -> Vec<Finding> {
    let server = with_open_files(scale.files, start_server(unlimited())).await;
    let side = Side::of(&server);
    let owner = server.sign_in("developer").await;
    let application = server.application(&owner).await;
    let users = clients::sign_in_users(&server, &application, "user", 2).await;
    let mut device = Device::connect(side, 0, &users[0]).await;
    let idle = connect(side.address, scale.files + scale.files / 2).await;
    let mut rounds = Vec::new();
    for _ in 0..scale.rounds {
        let ((), cost) = cost(side.process, tokio::time::sleep(scale.round)).await;
        rounds.push(Pair::alone(100.0 * cost.cpu.as_secs_f64() / cost.clock.as_secs_f64()));
        device.report().await;
    }
    // The server closes idle connections to let another device in.
    timeout(TIMEOUT, Device::connect(side, 1, &users[1])).await.unwrap();
    drop(idle);
    vec![Finding {
        what: "a server at its file limit",
        unit: "% of a core",
        rounds,
        judged: Judged::Measured(Thresholds::at_most(10.0, 1.0)),
    }]
}

/// Opens connections that send nothing.
async fn connect(server: SocketAddr, count: u64) -> Vec<TcpStream> {
    let mut idle = Vec::new();
    for _ in 0..count {
        let opening = timeout(Duration::from_secs(1), TcpStream::connect(server));
        idle.push(opening.await.unwrap().unwrap());
    }
    idle
}
