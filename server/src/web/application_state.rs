//! The states of an Application, in words for pages.

use presence_core::{AppState, Millis};

/// Returns the state in a word or two. `blocked_at` is the time since when the operator blocks it.
pub(super) fn label(state: AppState, blocked_at: Option<Millis>) -> &'static str {
    match (blocked_at, state) {
        (Some(_), _) => "blocked",
        (None, AppState::Registered) => "not verified",
        (None, AppState::Verified) => "verified",
        (None, AppState::Active) => "active",
        (None, AppState::Inactive) => "stopped",
    }
}

/// Returns the CSS class that goes with the label.
pub(super) fn class(state: AppState, blocked_at: Option<Millis>) -> &'static str {
    match (blocked_at, state) {
        (Some(_), _) => "error",
        (None, AppState::Active) => "success",
        (None, AppState::Registered | AppState::Verified) => "warning",
        (None, AppState::Inactive) => "",
    }
}
