//! Presence beside Centrifugo and uWebSockets.js, by the same generator with the same load. The
//! [README](../peers/README.md) says what is compared, and what is fair.

mod centrifugo;
mod connections;
mod group;
mod loads;
mod peer;
mod presence;
mod table;
mod uwebsockets;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::scale::Scale;

use group::Programs;
use table::PeerTable;

/// The maximum duration of a group of rows. It is long because a slow machine is no failure.
const ROW_LIMIT: Duration = Duration::from_mins(15);

pub(crate) const USAGE: &str =
    "presence-bench peers --centrifugo FILE --uwebsockets FOLDER [--json FILE] [--smoke]";

/// Measures all rows. Prints the usage if the arguments are wrong.
pub(crate) async fn run(arguments: &[&str]) -> ExitCode {
    let Some(options) = PeerOptions::of(arguments) else {
        eprintln!("usage: {USAGE}");
        return ExitCode::from(2);
    };
    let (programs, scale) = (&options.programs, &options.scale);
    let mut table = PeerTable::new(programs.versions().await);
    table.add(in_time(loads::status(programs, scale)).await);
    table.add(in_time(loads::fan_in(programs, scale)).await);
    table.add(in_time(loads::fan_out(programs, scale)).await);
    table.add(in_time(connections::measure(programs, scale)).await);
    table.add(in_time(loads::notify(programs, scale)).await);
    table.print();
    if let Some(file) = options.json {
        std::fs::write(file, table.to_json() + "\n").unwrap();
    }
    ExitCode::SUCCESS
}

/// Fails if a row does not end, for example since a server has closed a follower's socket.
async fn in_time<T>(row: impl Future<Output = T>) -> T {
    tokio::time::timeout(ROW_LIMIT, row).await.unwrap_or_else(|_| panic!("a row does not end"))
}

/// The programs to compare with, and the place of the results.
struct PeerOptions {
    programs: Programs,
    json: Option<String>,
    scale: Scale,
}

impl PeerOptions {
    fn of(arguments: &[&str]) -> Option<Self> {
        let (mut centrifugo, mut uwebsockets, mut json) = (None, None, None);
        let mut scale = Scale::full();
        let mut arguments = arguments.iter().copied();
        while let Some(argument) = arguments.next() {
            match argument {
                "--centrifugo" => centrifugo = Some(PathBuf::from(arguments.next()?)),
                "--uwebsockets" => uwebsockets = Some(PathBuf::from(arguments.next()?)),
                "--json" => json = Some(arguments.next()?.to_owned()),
                "--smoke" => scale = Scale::smoke(),
                _ => return None,
            }
        }
        let programs = Programs { centrifugo: centrifugo?, uwebsockets: uwebsockets? };
        Some(Self { programs, json, scale })
    }
}
