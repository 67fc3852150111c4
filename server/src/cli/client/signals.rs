//! The signals that end a command in order.

use tokio::signal::unix::{SignalKind, signal};

use crate::cli::output::{CommandError, failure};

/// Resolves at SIGINT or SIGTERM.
pub(super) fn end_request() -> Result<impl Future<Output = ()>, CommandError> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failure)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failure)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
