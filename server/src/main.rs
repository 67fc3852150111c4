//! The Presence server.

use std::process::ExitCode;

use presence_server::cli::Cli;

/// The allocator of the system would take about 4 KiB more for each connection.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The allocator asks for pages of 2 MiB, which would take about 1 KiB more for each connection.
    // A kernel that does not know the call has no such pages to avoid.
    #[cfg(target_os = "linux")]
    rustix::thread::disable_transparent_huge_pages(true).ok();
    Cli::from_arguments().map_or_else(|code| code, Cli::run)
}
