//! A server that has reached its limit of open files while more connections wait to be accepted. It
//! must not use a whole core, and must keep serving the connected devices.

use std::net::SocketAddr;
use std::time::Duration;

use presence_tests::TIMEOUT;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::crowd::{self, Device};
use crate::report::{Bar, Finding, Judged, Pair};
use crate::scale::Scale;
use crate::sides::{Side, cost, start_server, unlimited};
use crate::system::with_open_files;

pub(crate) async fn measure(scale: &Scale) -> Vec<Finding> {
    let server = with_open_files(scale.files, start_server(unlimited())).await;
    let side = Side::of(&server);
    let owner = server.sign_in("developer").await;
    let application = server.application(&owner).await;
    let people = crowd::people(&server, &application, "user", 2).await;
    let mut device = Device::connect(side, 0, &people[0]).await;
    let waiting = connect(side.address, scale.files + scale.files / 2).await;
    // The first connection beyond the limit is not refused: it waits.
    let newcomer = Device::connect(side, 1, &people[1]);
    tokio::pin!(newcomer);
    let shut_out = timeout(scale.round / 2, &mut newcomer).await.is_err();
    assert!(shut_out, "the server was to be at its limit");
    let mut rounds = Vec::new();
    for _ in 0..scale.rounds {
        let ((), cost) = cost(side.process, tokio::time::sleep(scale.round)).await;
        rounds.push(Pair::alone(100.0 * cost.cpu.as_secs_f64() / cost.clock.as_secs_f64()));
        device.report().await;
    }
    drop(waiting);
    timeout(TIMEOUT, newcomer).await.unwrap();
    vec![Finding {
        what: "a server at its file limit",
        unit: "% of a core",
        rounds,
        judged: Judged::Ours(Bar::at_most(10.0, 1.0)),
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
