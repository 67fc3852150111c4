//! The Presence server.

use std::process::ExitCode;

use presence_server::cli::Cli;

/// Short-lived blocks between long-lived small ones cost the system's allocator about 4 KiB a connection.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    Cli::of_arguments().map_or_else(|code| code, Cli::run)
}
