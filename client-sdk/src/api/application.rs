//! Applications and their API keys, as the REST API shows them to their developer.

use presence_protocol::{AppId, UnixMillis};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::secret::{optional_secret, secret};

/// An Application to register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewApplication {
    /// The name, at most 200 characters. Devices see it with every notification.
    pub name: String,
    /// The domain: a lower-case host name. A server in development mode also accepts `localhost`
    /// and `127.0.0.1`, with a port.
    pub domain: String,
    /// The description, at most 2,000 characters.
    pub description: String,
}

/// The state of an Application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ApplicationState {
    /// The domain is not verified yet.
    Registered,
    /// The domain is verified, and the Application was not activated since.
    Verified,
    /// The Application gets presence.
    Active,
    /// The domain is verified, and the Application was deactivated.
    Inactive,
    /// A state that this version does not know.
    #[serde(other)]
    Unknown,
}

/// An Application of the user.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Application {
    /// The id.
    pub appid: AppId,
    /// The name.
    pub name: String,
    /// The domain.
    pub domain: String,
    /// The description.
    pub description: String,
    /// The state.
    pub state: ApplicationState,
    /// The text that the domain must serve at `/__presence` for
    /// [`UserApi::verify`](crate::UserApi::verify). It is public.
    pub domain_key: String,
    /// The time of the registration.
    pub created_at: UnixMillis,
    /// The time at which the operator of the server blocked the Application. A blocked Application
    /// is inactive, and its developer cannot activate it.
    pub blocked_at: Option<UnixMillis>,
}

/// The changes of an Application. A field that is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ApplicationChange {
    /// The name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The domain. Another domain has to be verified again, and the Application is inactive until
    /// then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// The result of activating or deactivating an Application.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct ActivationResult {
    /// The new state.
    pub state: ApplicationState,
    /// The first API key, after the first activation. It is not shown again.
    #[serde(default, deserialize_with = "optional_secret")]
    pub api_key: Option<SecretString>,
}

/// An API key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ApiKeyInfo {
    /// The id.
    pub id: i64,
    /// The first characters, which are not secret.
    pub prefix: String,
    /// The time at which the key was created.
    pub created_at: UnixMillis,
    /// The time at which the key was last used, to the minute.
    pub last_used_at: Option<UnixMillis>,
}

/// An API key that was created.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct CreatedApiKey {
    /// The id.
    pub id: i64,
    /// The secret key. It is not shown again.
    #[serde(deserialize_with = "secret")]
    pub api_key: SecretString,
    /// The first characters, by which lists show the key.
    pub prefix: String,
    /// The time at which the key was created.
    pub created_at: UnixMillis,
}
