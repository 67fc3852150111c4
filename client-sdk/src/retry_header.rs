//! The header in which a server or a proxy asks for a wait.

use http::HeaderMap;
use http::header::RETRY_AFTER;

/// Returns the wait in whole seconds. The other form of the header, a date, would need a correct
/// clock.
pub(crate) fn requested_wait(headers: &HeaderMap) -> Option<f64> {
    let seconds: u32 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(f64::from(seconds))
}
