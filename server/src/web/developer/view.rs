//! An Application and its keys, as the pages of their developer show them.

use presence_core::{ApiKey, App, ApplicationState};

use crate::page::Moment;

/// An Application.
pub(super) struct AppView {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) domain: String,
    pub(super) description: String,
    pub(super) domain_key: String,
    pub(super) created_at: Moment,
    pub(super) last_looked_at: Option<Moment>,
    pub(super) blocked_at: Option<Moment>,
    state: ApplicationState,
}

impl From<App> for AppView {
    fn from(app: App) -> Self {
        Self {
            id: app.id.to_string(),
            name: app.name,
            domain: app.domain,
            description: app.description,
            domain_key: app.domain_key,
            created_at: Moment::new(app.created_at),
            last_looked_at: app.last_looked_at.map(Moment::new),
            blocked_at: app.blocked_at.map(Moment::new),
            state: app.state,
        }
    }
}

impl AppView {
    /// Where its page is.
    pub(super) fn path(&self) -> String {
        format!("/myapps/{}", self.id)
    }

    /// Whether its domain is verified.
    pub(super) fn is_verified(&self) -> bool {
        self.state != ApplicationState::Registered
    }

    /// Whether it gets presence.
    pub(super) fn is_active(&self) -> bool {
        self.state == ApplicationState::Active
    }

    /// Whether it was started before, and stopped.
    pub(super) fn is_inactive(&self) -> bool {
        self.state == ApplicationState::Inactive
    }

    /// Its state in a word or two.
    pub(super) fn state(&self) -> &'static str {
        match (self.blocked_at, self.state) {
            (Some(_), _) => "blocked",
            (None, ApplicationState::Registered) => "not verified",
            (None, ApplicationState::Verified) => "verified",
            (None, ApplicationState::Active) => "active",
            (None, ApplicationState::Inactive) => "stopped",
        }
    }

    /// How its state is meant.
    pub(super) fn tone(&self) -> &'static str {
        match (self.blocked_at, self.state) {
            (Some(_), _) => "bad",
            (None, ApplicationState::Active) => "good",
            (None, ApplicationState::Registered | ApplicationState::Verified) => "careful",
            (None, ApplicationState::Inactive) => "",
        }
    }
}

/// An API key, without its secret.
pub(super) struct KeyView {
    pub(super) id: i64,
    pub(super) prefix: String,
    pub(super) created_at: Moment,
    pub(super) last_used_at: Option<Moment>,
}

impl From<ApiKey> for KeyView {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id,
            prefix: key.prefix,
            created_at: Moment::new(key.created_at),
            last_used_at: key.last_used_at.map(Moment::new),
        }
    }
}
