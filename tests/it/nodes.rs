//! Several servers that share presence through PostgreSQL: clients see no difference, whichever
//! server they meet, request by request.

mod applications;
mod credentials;
mod devices;
mod failures;
mod full_disk;
mod metrics;
mod settings;
mod tls;
mod upgrades;
mod users;

use presence_tests::ServerOptions;

/// Returns options without limits on rates, and with a grace time that does not end in a test.
fn long_grace_time() -> ServerOptions {
    ServerOptions::default().with("grace-seconds", 600).with("status-burst", 1000)
}
