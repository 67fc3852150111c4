//! An Application and its keys, as the pages of their developer show them.

use presence_core::{ApiKey, App, ApplicationState};

use crate::page::{LocalPath, Timestamp};
use crate::web::application_state;

/// An Application.
pub(super) struct ApplicationDetails {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) domain: String,
    pub(super) description: String,
    pub(super) domain_key: String,
    pub(super) created_at: Timestamp,
    pub(super) last_checked_at: Option<Timestamp>,
    pub(super) blocked_at: Option<Timestamp>,
    /// The path of its page.
    pub(super) path: LocalPath,
    /// Its state in a word or two.
    pub(super) state_label: &'static str,
    /// The CSS class of the label.
    pub(super) state_class: &'static str,
    state: ApplicationState,
}

impl From<App> for ApplicationDetails {
    fn from(app: App) -> Self {
        Self {
            path: LocalPath::of_application(app.id),
            state_label: application_state::label(app.state, app.blocked_at),
            state_class: application_state::class(app.state, app.blocked_at),
            id: app.id.to_string(),
            name: app.name,
            domain: app.domain,
            description: app.description,
            domain_key: app.domain_key,
            created_at: Timestamp::new(app.created_at),
            last_checked_at: app.last_looked_at.map(Timestamp::new),
            blocked_at: app.blocked_at.map(Timestamp::new),
            state: app.state,
        }
    }
}

impl ApplicationDetails {
    /// Returns true if the domain is verified.
    pub(super) fn is_verified(&self) -> bool {
        self.state != ApplicationState::Registered
    }

    /// Returns true if the Application receives presence.
    pub(super) fn is_active(&self) -> bool {
        self.state == ApplicationState::Active
    }

    /// Returns true if the Application was active before, and was deactivated.
    pub(super) fn is_inactive(&self) -> bool {
        self.state == ApplicationState::Inactive
    }
}

/// An API key, without its secret.
pub(super) struct KeyRow {
    pub(super) id: i64,
    pub(super) prefix: String,
    pub(super) created_at: Timestamp,
    pub(super) last_used_at: Option<Timestamp>,
}

impl From<ApiKey> for KeyRow {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id,
            prefix: key.prefix,
            created_at: Timestamp::new(key.created_at),
            last_used_at: key.last_used_at.map(Timestamp::new),
        }
    }
}
