//! The cost of the SDK compared with a bare WebSocket client, on the side of the client.

mod bare_client;
mod channels;
mod memory;
mod round_trips;

use presence_tests::Server;

use crate::report::Finding;
use crate::scale::Scale;
use crate::sides::unlimited;

pub(crate) use memory::hold;

pub(crate) async fn measure(scale: &Scale) -> Vec<Finding> {
    let server = Server::start(unlimited()).await;
    let mut findings = round_trips::measure(&server, scale).await;
    findings.push(memory::measure(&server, scale).await);
    findings
}
