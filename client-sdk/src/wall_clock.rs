//! The wall-clock time of the machine.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use presence_protocol::UnixMillis;

/// Returns the current wall-clock time; the start of 1970 if the clock is set to an earlier time.
#[expect(
    clippy::disallowed_methods,
    reason = "the clock of the SDK, of which tests pass their own"
)]
pub(crate) fn now() -> UnixMillis {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    UnixMillis::default() + since_1970
}
