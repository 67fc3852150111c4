//! Benchmarks over real sockets against the real server, each compared with a baseline. The
//! [README](../README.md) describes each row.
//!
//! ```sh
//! cargo run --release -p presence-bench -- all --json results.json
//! ```
//!
//! The rounds of both sides alternate, so that a noisy machine slows both. The result is the median
//! of the rounds' ratios, and for a server its CPU time for each operation, which other processes
//! change far less than the wall-clock time.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark panics if it cannot continue"
)]
#![expect(clippy::cast_precision_loss, reason = "what is counted here is far below 2^52")]

mod correctness;
mod curves;
mod instructions;
mod peers;
mod rows;
mod sdk;

mod baseline;
mod child_server;
mod clients;
mod credentials;
mod database;
mod filling;
mod http_wire;
mod subscribers;
mod tungstenite;
mod wire;

mod report;
mod scale;
mod sides;
mod system;

use std::process::ExitCode;

use report::Report;
use rows::Row;
use scale::Scale;
use sides::{BASELINE, TUNGSTENITE};

const USAGE: &str = "presence-bench ROW… [--json FILE] [--smoke]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [BASELINE] => return baseline::serve(),
        [TUNGSTENITE] => return tungstenite::serve(),
        ["commit-each", directory, senders, millis] => {
            return rows::commit_each(directory, senders, millis);
        }
        _ => {}
    }
    // A single thread, so that the work is measured and not the time that the system needs to wake
    // another thread.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if let ["hold", kind, server, token, sockets] = arguments[..] {
        runtime.block_on(sdk::hold(kind, server, token, sockets));
        return ExitCode::SUCCESS;
    }
    if let ["correctness", arguments @ ..] = &arguments[..] {
        return runtime.block_on(correctness::run(arguments));
    }
    if let ["curves", arguments @ ..] = &arguments[..] {
        return runtime.block_on(curves::run(arguments));
    }
    if let ["instructions", arguments @ ..] = &arguments[..] {
        return runtime.block_on(instructions::run(arguments));
    }
    if let ["peers", arguments @ ..] = &arguments[..] {
        return runtime.block_on(peers::run(arguments));
    }
    let Some(options) = BenchOptions::of(&arguments) else {
        let rows = Row::list();
        let others = [correctness::USAGE, curves::USAGE, instructions::USAGE, peers::USAGE];
        eprintln!("usage: {USAGE}\n       {}", others.join("\n       "));
        eprintln!("rows, or `all` for all but the last three:\n{rows}");
        return ExitCode::from(2);
    };
    runtime.block_on(options.run())
}

/// The rows to measure, and the place of the results.
struct BenchOptions {
    rows: Vec<Row>,
    json: Option<String>,
    scale: Scale,
}

impl BenchOptions {
    fn of(arguments: &[&str]) -> Option<Self> {
        let mut options = Self { rows: Vec::new(), json: None, scale: Scale::full() };
        let mut arguments = arguments.iter().copied();
        while let Some(argument) = arguments.next() {
            match argument {
                "--json" => options.json = Some(arguments.next()?.to_owned()),
                "--smoke" => options.scale = Scale::smoke(),
                "all" => options.rows.extend(Row::OF_THE_SERVER),
                name => options.rows.push(Row::named(name)?),
            }
        }
        (!options.rows.is_empty()).then_some(options)
    }

    /// Measures and reports. The exit code says whether a gate was missed.
    async fn run(self) -> ExitCode {
        let mut report = Report::default();
        for row in self.rows {
            eprintln!("measuring {}", row.name());
            for finding in row.measure(&self.scale).await {
                finding.print_rounds();
                report.add(finding);
            }
        }
        report.print_table();
        if let Some(file) = self.json {
            std::fs::write(file, report.to_json() + "\n").unwrap();
        }
        match report.missed_gates() {
            [] => ExitCode::SUCCESS,
            missed if self.scale.judges => {
                println!("gates missed: {}", missed.join(", "));
                ExitCode::FAILURE
            }
            missed => {
                println!(
                    "gates missed, without a verdict in so short a run: {}",
                    missed.join(", ")
                );
                ExitCode::SUCCESS
            }
        }
    }
}
