//! The records of Applications and their API keys.

use std::sync::Arc;

use presence_client::AppId;

use crate::error::PresenceError;
use crate::presence::{parse_id, signed_millis};
use crate::secret::Secret;

/// An Application to register.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct NewApplication {
    /// The name, at most 200 characters. Devices see it with every notification.
    pub name: String,
    /// The domain: a lower-case host name. A server in development mode also accepts `localhost`
    /// and `127.0.0.1`, with a port.
    pub domain: String,
    /// The description, at most 2,000 characters.
    pub description: String,
}

impl From<NewApplication> for presence_client::NewApplication {
    fn from(new: NewApplication) -> Self {
        Self { name: new.name, domain: new.domain, description: new.description }
    }
}

/// The state of an Application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum ApplicationState {
    /// The domain is not verified yet.
    Registered,
    /// The domain is verified, and the Application was not activated since.
    Verified,
    /// The Application is active: it sees its users.
    Active,
    /// The domain is verified, and the Application was deactivated.
    Inactive,
    /// A state that is newer than this library.
    Unknown,
}

impl From<presence_client::ApplicationState> for ApplicationState {
    fn from(state: presence_client::ApplicationState) -> Self {
        match state {
            presence_client::ApplicationState::Registered => Self::Registered,
            presence_client::ApplicationState::Verified => Self::Verified,
            presence_client::ApplicationState::Active => Self::Active,
            presence_client::ApplicationState::Inactive => Self::Inactive,
            presence_client::ApplicationState::Unknown | _ => Self::Unknown,
        }
    }
}

/// An Application that the user has registered.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ApplicationInfo {
    /// The id.
    pub appid: String,
    /// The name.
    pub name: String,
    /// The domain.
    pub domain: String,
    /// The description.
    pub description: String,
    /// The state.
    pub state: ApplicationState,
    /// The key that the domain must show at `/__presence` to be verified. It is not secret.
    pub domain_key: String,
    /// The time when it was registered: milliseconds since 1970 UTC.
    pub created_at_ms: i64,
    /// The time when the operator of the server blocked it: milliseconds since 1970 UTC. A blocked
    /// Application is inactive, and its developer cannot activate it.
    pub blocked_at_ms: Option<i64>,
}

impl From<presence_client::Application> for ApplicationInfo {
    fn from(application: presence_client::Application) -> Self {
        Self {
            appid: application.appid.to_string(),
            name: application.name,
            domain: application.domain,
            description: application.description,
            state: application.state.into(),
            domain_key: application.domain_key,
            created_at_ms: signed_millis(application.created_at),
            blocked_at_ms: application.blocked_at.map(signed_millis),
        }
    }
}

/// A change of an Application. Fields that are left out are not changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, uniffi::Record)]
pub struct ApplicationChange {
    /// The new name.
    #[uniffi(default = None)]
    pub name: Option<String>,
    /// The new domain. It has to be verified, and the Application is not active until then.
    #[uniffi(default = None)]
    pub domain: Option<String>,
    /// The new description.
    #[uniffi(default = None)]
    pub description: Option<String>,
}

impl From<ApplicationChange> for presence_client::ApplicationChange {
    fn from(change: ApplicationChange) -> Self {
        Self { name: change.name, domain: change.domain, description: change.description }
    }
}

/// The result of activating or deactivating an Application.
#[derive(Debug, Clone, uniffi::Record)]
pub struct ActivationResult {
    /// The state.
    pub state: ApplicationState,
    /// The first API key, after the first activation. It cannot be retrieved again.
    pub api_key: Option<Arc<Secret>>,
}

impl From<presence_client::ActivationResult> for ActivationResult {
    fn from(result: presence_client::ActivationResult) -> Self {
        Self { state: result.state.into(), api_key: result.api_key.map(Secret::from_secret) }
    }
}

/// An API key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ApiKeyInfo {
    /// The id.
    pub id: i64,
    /// The first characters of the key. They are not secret.
    pub prefix: String,
    /// The time when it was created: milliseconds since 1970 UTC.
    pub created_at_ms: i64,
    /// The time when it was last used, to the minute: milliseconds since 1970 UTC.
    pub last_used_at_ms: Option<i64>,
}

impl From<presence_client::ApiKeyInfo> for ApiKeyInfo {
    fn from(key: presence_client::ApiKeyInfo) -> Self {
        Self {
            id: key.id,
            prefix: key.prefix,
            created_at_ms: signed_millis(key.created_at),
            last_used_at_ms: key.last_used_at.map(signed_millis),
        }
    }
}

/// An API key that was created.
#[derive(Debug, Clone, uniffi::Record)]
pub struct CreatedApiKey {
    /// The id.
    pub id: i64,
    /// The key. It cannot be retrieved again.
    pub api_key: Arc<Secret>,
    /// The first characters of the key, with which lists show it.
    pub prefix: String,
    /// The time when it was created: milliseconds since 1970 UTC.
    pub created_at_ms: i64,
}

impl From<presence_client::CreatedApiKey> for CreatedApiKey {
    fn from(key: presence_client::CreatedApiKey) -> Self {
        Self {
            id: key.id,
            api_key: Secret::from_secret(key.api_key),
            prefix: key.prefix,
            created_at_ms: signed_millis(key.created_at),
        }
    }
}

/// Parses the id of an Application.
pub(super) fn application_id(text: &str) -> Result<AppId, PresenceError> {
    parse_id(text, "appid")
}
