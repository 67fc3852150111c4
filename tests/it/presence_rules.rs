//! The views of a user that Applications receive.

mod endings;
mod merging;
mod privacy;
mod restart;
mod visibility;

use presence_tests::ServerOptions;

/// Devices may speak as often as a test wants.
fn lively() -> ServerOptions {
    ServerOptions::default().with("status-burst", 1000)
}

/// The same with a grace time that no test waits for: what is seen was not waited for.
fn patient() -> ServerOptions {
    lively().with("grace-seconds", 600)
}
