//! The Presence server.

use std::process::ExitCode;

use presence_server::cli::Cli;

/// The allocator of the system would take about 4 KiB more for each connection.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    Cli::from_arguments().map_or_else(|code| code, Cli::run)
}
