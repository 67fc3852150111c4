//! Correctness: devices report, come and go while connections, servers and the database fail, and
//! each Application must see exactly what the devices were answered. Beside it, the times until
//! Applications are told.
//!
//! The modules in reading order, each of which uses only those below it.

mod figures;
mod results;
mod round;
mod stage;

mod device;
mod fault;
mod sender;
mod watcher;

mod database_fault;
mod scene;
mod sites;

mod expectations;
mod options;

use std::process::ExitCode;

use presence_tests::SeededRng;
use serde_json::{Value, json};

use crate::system;
use fault::Fault;
use figures::TimedRow;
use options::RunOptions;
use results::RunResults;
use stage::Stage;

pub(crate) const USAGE: &str = "presence-bench correctness [--servers 1,3] [--users N] \
                                [--changes N] [--seed N] [--only FAULT] [--json FILE] [--smoke]";

/// Runs with these arguments. The exit code says whether everything was right.
pub(crate) async fn run(arguments: &[&str]) -> ExitCode {
    let Some(options) = RunOptions::of(arguments) else {
        eprintln!("usage: {USAGE}");
        return ExitCode::from(2);
    };
    system::allow_open_files(options.users as u64 * 4 + 500);
    println!("seed {}", options.seed);
    let mut all = Vec::new();
    for servers in options.servers.clone() {
        let results = run_with(servers, &options).await;
        results.print();
        all.push(results);
    }
    if let Some(file) = &options.json {
        let runs: Vec<Value> = all.iter().map(RunResults::to_json).collect();
        let report = json!({"machine": system::describe(), "seed": options.seed, "runs": runs});
        std::fs::write(file, report.to_string() + "\n").unwrap();
    }
    if all.iter().all(RunResults::is_right) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn run_with(servers: usize, options: &RunOptions) -> RunResults {
    let mut rng = SeededRng::new(options.seed);
    let mut stage = Stage::start(servers, options).await;
    eprintln!("measuring times with {servers} server(s)");
    let mut rows = figures::measure(&mut stage, options.samples, &mut rng).await;
    if options.is_short {
        rows = rows.into_iter().map(TimedRow::without_longest).collect();
    }
    stage.populate(&mut rng);
    let mut rounds = Vec::new();
    loop {
        let faults = Fault::all(&stage.sites, options.is_short);
        for fault in faults.into_iter().filter(|fault| fault.name().contains(&options.only)) {
            let round = stage.round(fault, options.traffic, &mut rng).await;
            eprintln!("{round:?}");
            rounds.push(round);
        }
        if stage.scene.expectations.changes() >= options.changes {
            break;
        }
    }
    let expectations = &stage.scene.expectations;
    let notifications = (expectations.accepted(), expectations.repeated());
    RunResults { servers, rows, rounds, notifications }
}
