//! Benchmarks over real sockets against the real server, each beside the floor to hold it against.
//!
//! ```sh
//! cargo run --release -p presence-bench -- sdk        # what the SDK costs beside a bare WebSocket client
//! ```
//!
//! The rounds of both sides alternate, so that a noisy machine slows both; what counts is the median of the rounds' ratios. All
//! rounds are printed, as a table and as JSON.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark that cannot go on says so and ends"
)]

mod bare;
mod memory;
mod report;
mod round_trips;
mod sdk;

use presence_tests::{Options, Server};

/// A server that refuses nothing for its rate.
fn unlimited() -> Options {
    [
        "status-burst",
        "status-per-second",
        "notify-burst",
        "notify-per-second",
        "connects-per-second",
        "sockets-per-user",
    ]
    .into_iter()
    .fold(Options::default().with("log", "error"), |options, limit| options.with(limit, 1_000_000))
}

// One thread, so that what is measured is the work and not how fast the system wakes another thread.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["sdk"] => {
            let server = Server::start(unlimited()).await;
            round_trips::measure(&server).await;
            memory::measure(&server).await;
        }
        ["hold", kind, server, token] => memory::hold(kind, server, token).await,
        _ => panic!("say what to measure: sdk"),
    }
}
