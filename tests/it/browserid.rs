//! Assertions of BrowserID issuers, against issuers that the tests run.

mod endings;
mod generations;
mod issuers;
mod storm;

use presence_tests::{Issuer, Options, Server};

/// A server that asks an issuer.
async fn server_of(issuer: &Issuer) -> Server {
    Server::start(Options::default().with("browserid-issuers", issuer.host())).await
}

/// How often something was counted, by the name and the labels that it has among the metrics.
async fn counted(server: &Server, what: &str) -> u64 {
    let metrics = server.call("GET", "/metrics").await.text;
    let line = metrics.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(' '));
    line.map_or(0, |number| number.parse().unwrap())
}

/// How many assertions were looked into, whatever came of it.
async fn verifications(server: &Server) -> u64 {
    let mut sum = 0;
    for outcome in ["proven", "invalid", "unavailable", "busy"] {
        let what = format!("presence_verifications_total{{outcome=\"{outcome}\"}}");
        sum += counted(server, &what).await;
    }
    sum
}
