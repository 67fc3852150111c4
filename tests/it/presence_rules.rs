//! The views of a user that Applications receive.

mod causes;
mod change_rate;
mod former_domains;
mod going_offline;
mod merging;
mod privacy;
mod restart;
mod visibility;

use presence_tests::ServerOptions;

/// Returns options with a high limit for status updates.
fn unlimited_rates() -> ServerOptions {
    ServerOptions::default().with("status-burst", 1000)
}

/// Returns the same options with a grace time that is too long to cause an update.
fn long_grace_time() -> ServerOptions {
    unlimited_rates().with("grace-seconds", 600)
}
