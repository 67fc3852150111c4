//! The number of instructions of the hot paths, as Valgrind counts them: unlike times, they are the
//! same on a busy machine, so that a test can compare them with those of before.

mod counted_server;
mod hot_path;
mod known_counts;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use self::counted_server::CountedServer;
use self::hot_path::HotPath;
use self::known_counts::KnownCounts;

pub(crate) const USAGE: &str = "presence-bench instructions [--update] [--keep DIRECTORY]";

/// The number of rounds of each path. The least count is used: other tasks of the server only add
/// to it.
const ROUNDS: usize = 5;

/// Counts the instructions of each path. Fails if one needs more than is known, beyond the
/// tolerance.
pub(crate) async fn run(arguments: &[&str]) -> ExitCode {
    let Some(options) = CountOptions::of(arguments) else {
        eprintln!("usage: {USAGE}");
        return ExitCode::from(2);
    };
    let mut known = KnownCounts::read();
    let compares = !known.is_empty();
    let server = CountedServer::start().await;
    let paths = HotPath::all(server.server()).await;
    server.begin().await;
    let mut grown = Vec::new();
    println!("| path | instructions | known | ratio |\n| --- | --- | --- | --- |");
    for mut path in paths {
        let name = path.name();
        let count = least_count(&server, &mut path).await;
        options.keep_dump(&server, name);
        let before = known.replace(name, count);
        println!("{}", line(name, count, before));
        let ratio = before.map_or(f64::INFINITY, |before| count as f64 / before as f64);
        if ratio > 1.0 + known_counts::TOLERANCE {
            grown.push(name);
        }
    }
    if options.updates {
        known.write();
        return ExitCode::SUCCESS;
    }
    verdict(compares, &grown)
}

/// Returns a line of the table.
fn line(name: &str, count: u64, before: Option<u64>) -> String {
    let Some(before) = before else { return format!("| {name} | {count} | – | – |") };
    format!("| {name} | {count} | {before} | {:.3} |", count as f64 / before as f64)
}

/// Returns failure if paths have grown, unless there was nothing to compare them with.
fn verdict(compares: bool, grown: &[&str]) -> ExitCode {
    if !compares {
        println!("no counts are known of this architecture and profile");
        return ExitCode::SUCCESS;
    }
    if grown.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("more instructions than known, or not known: {}", grown.join(", "));
    println!("if there is a reason, run with --update, and state it in the commit");
    ExitCode::FAILURE
}

/// The options of a run.
#[derive(Default)]
struct CountOptions {
    /// The counts become the known ones.
    updates: bool,
    /// The directory for the counts of each function, which `callgrind_annotate` shows.
    dumps: Option<PathBuf>,
}

impl CountOptions {
    fn of(arguments: &[&str]) -> Option<Self> {
        let mut options = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match *argument {
                "--update" => options.updates = true,
                "--keep" => options.dumps = Some(PathBuf::from(arguments.next()?)),
                _ => return None,
            }
        }
        Some(options)
    }

    /// Keeps the counts of the last round of a path.
    fn keep_dump(&self, server: &CountedServer, path: &str) {
        if let Some(directory) = &self.dumps {
            std::fs::create_dir_all(directory).unwrap();
            server.copy_dump(&Path::new(directory).join(path.replace(' ', "-")));
        }
    }
}

/// Returns the instructions of one operation.
async fn least_count(server: &CountedServer, path: &mut HotPath) -> u64 {
    // A first round fills caches, and is not counted.
    path.run().await;
    let mut least = u64::MAX;
    for _ in 0..ROUNDS {
        let total = server.count(path.run()).await;
        least = least.min(total / path.operations() as u64);
        path.end_round();
    }
    least
}
