//! The states of an Application, in words for pages.

use presence_core::{ApplicationState, UnixMillis};

/// Returns the state in a word or two. `blocked_at` is the time since when the operator blocks it.
pub(super) fn label(state: ApplicationState, blocked_at: Option<UnixMillis>) -> &'static str {
    match (blocked_at, state) {
        (Some(_), _) => "blocked",
        (None, ApplicationState::Registered) => "not verified",
        (None, ApplicationState::Verified) => "verified",
        (None, ApplicationState::Active) => "active",
        (None, ApplicationState::Inactive) => "inactive",
    }
}

/// Returns the CSS class that goes with the label.
pub(super) fn class(state: ApplicationState, blocked_at: Option<UnixMillis>) -> &'static str {
    match (blocked_at, state) {
        (Some(_), _) => "error",
        (None, ApplicationState::Active) => "success",
        (None, ApplicationState::Registered | ApplicationState::Verified) => "warning",
        (None, ApplicationState::Inactive) => "",
    }
}
