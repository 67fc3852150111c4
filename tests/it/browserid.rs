//! Assertions of BrowserID issuers, against issuers that the tests run.

mod expiry;
mod flood;
mod issuers;
mod password_changes;

use presence_tests::{Issuer, Server, ServerOptions};

/// Starts a server that accepts an issuer.
async fn server_of(issuer: &Issuer) -> Server {
    let options = ServerOptions::default().with("browserid-issuers", issuer.host());
    Server::start(options.with_metrics()).await
}

/// Returns the number of verified proofs, with any outcome.
async fn sign_ins(server: &Server) -> u64 {
    let metrics = server.metrics().await.text;
    let lines = metrics.lines().filter(|line| line.starts_with("presence_sign_ins_total{"));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}
