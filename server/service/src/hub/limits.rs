//! The limits of the hub.

use std::time::Duration;

use presence_core::stream::Retention;

/// The limits of the hub.
#[derive(Debug, Clone, Copy)]
pub struct HubLimits {
    /// The time for which a lost device keeps its presence.
    pub grace: Duration,
    /// The maximum number of connected devices of a user.
    pub sockets_per_user: usize,
    /// The part of the past over which an Application can resume its stream.
    pub retention: Retention,
    /// The time for which an Application that begins to see a user gets none of the user's
    /// receipts.
    pub receipt_hold: Duration,
    /// The maximum number of bytes of the retained parts of all streams.
    pub stream_bytes: usize,
    /// The time for which an update waits at most before an Application sees it.
    pub update_delay: Duration,
}
