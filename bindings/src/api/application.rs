//! What a developer may do: register Applications, bring them to life, and handle their keys.

use std::sync::Arc;

use presence_client as sdk;

use super::user::UserApi;
use crate::cancel::CancelToken;
use crate::error::PresenceError;
use crate::presence::{id, milliseconds};
use crate::runtime;
use crate::secret::Secret;

/// An Application to be registered.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct NewApplication {
    /// Its name, at most 200 characters; devices see it as the `source` of notifications.
    pub name: String,
    /// Its domain: a lower-case host name. A server in development mode also takes `localhost` and `127.0.0.1`, with a port.
    pub domain: String,
    /// What it is, at most 2,000 characters.
    pub description: String,
}

impl From<NewApplication> for sdk::NewApplication {
    fn from(new: NewApplication) -> Self {
        Self { name: new.name, domain: new.domain, description: new.description }
    }
}

/// How far an Application has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum ApplicationState {
    /// Its domain has yet to be verified.
    Registered,
    /// Its domain is verified, and it was never activated since.
    Verified,
    /// It gets presence.
    Active,
    /// Its domain is verified, and it was deactivated.
    Inactive,
    /// Something newer than this library.
    Unknown,
}

impl From<sdk::ApplicationState> for ApplicationState {
    fn from(state: sdk::ApplicationState) -> Self {
        match state {
            sdk::ApplicationState::Registered => Self::Registered,
            sdk::ApplicationState::Verified => Self::Verified,
            sdk::ApplicationState::Active => Self::Active,
            sdk::ApplicationState::Inactive => Self::Inactive,
            sdk::ApplicationState::Unknown | _ => Self::Unknown,
        }
    }
}

/// An Application of the user's own.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ApplicationInfo {
    /// Its id.
    pub appid: String,
    /// Its name.
    pub name: String,
    /// Its domain.
    pub domain: String,
    /// What it is.
    pub description: String,
    /// How far it has come.
    pub state: ApplicationState,
    /// What its domain must show at `/__presence` to be verified. Everybody may know it.
    pub domain_key: String,
    /// When it was registered: milliseconds since 1970 UTC.
    pub created_at_ms: i64,
    /// Since when the operator of the server has blocked it: milliseconds since 1970 UTC. It is inactive then, and its developer
    /// cannot start it.
    pub blocked_at_ms: Option<i64>,
}

impl From<sdk::Application> for ApplicationInfo {
    fn from(application: sdk::Application) -> Self {
        Self {
            appid: application.appid.to_string(),
            name: application.name,
            domain: application.domain,
            description: application.description,
            state: application.state.into(),
            domain_key: application.domain_key,
            created_at_ms: milliseconds(application.created_at),
            blocked_at_ms: application.blocked_at.map(milliseconds),
        }
    }
}

/// What to change of an Application; what is left out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, uniffi::Record)]
pub struct ApplicationChange {
    /// Its name.
    #[uniffi(default = None)]
    pub name: Option<String>,
    /// Its domain. Another one has to be verified again, and the Application is stopped until then.
    #[uniffi(default = None)]
    pub domain: Option<String>,
    /// What it is.
    #[uniffi(default = None)]
    pub description: Option<String>,
}

impl From<ApplicationChange> for sdk::ApplicationChange {
    fn from(change: ApplicationChange) -> Self {
        Self { name: change.name, domain: change.domain, description: change.description }
    }
}

/// An Application that was started or stopped.
#[derive(Debug, Clone, uniffi::Record)]
pub struct Activated {
    /// How far it has come.
    pub state: ApplicationState,
    /// Its first API key, on its first activation, shown this once.
    pub api_key: Option<Arc<Secret>>,
}

impl From<sdk::ActivationResult> for Activated {
    fn from(activated: sdk::ActivationResult) -> Self {
        Self { state: activated.state.into(), api_key: activated.api_key.map(Secret::of) }
    }
}

/// An API key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct KeyInfo {
    /// Its name.
    pub id: i64,
    /// Its first characters, which are no secret.
    pub prefix: String,
    /// When it was made: milliseconds since 1970 UTC.
    pub created_at_ms: i64,
    /// When it was last used, to the minute: milliseconds since 1970 UTC.
    pub last_used_at_ms: Option<i64>,
}

impl From<sdk::ApiKeyInfo> for KeyInfo {
    fn from(key: sdk::ApiKeyInfo) -> Self {
        Self {
            id: key.id,
            prefix: key.prefix,
            created_at_ms: milliseconds(key.created_at),
            last_used_at_ms: key.last_used_at.map(milliseconds),
        }
    }
}

/// An API key that was made.
#[derive(Debug, Clone, uniffi::Record)]
pub struct NewKey {
    /// Its name.
    pub id: i64,
    /// The key, shown this once.
    pub api_key: Arc<Secret>,
    /// Its first characters, by which lists show it.
    pub prefix: String,
    /// When it was made: milliseconds since 1970 UTC.
    pub created_at_ms: i64,
}

impl From<sdk::CreatedApiKey> for NewKey {
    fn from(key: sdk::CreatedApiKey) -> Self {
        Self {
            id: key.id,
            api_key: Secret::of(key.api_key),
            prefix: key.prefix,
            created_at_ms: milliseconds(key.created_at),
        }
    }
}

/// For developers; the session must be of the scope `Account`. Somebody else's Application is as unknown as one that does not
/// exist: `UnknownApplication` (40).
#[uniffi::export]
impl UserApi {
    /// Registers an Application. Next, its domain shows its `domain_key`, then comes `verify`.
    ///
    /// # Errors
    ///
    /// `Refused` with `InvalidField` (12), or with `TooLarge` (14) where the developer has the most Applications already.
    #[uniffi::method(default(cancel = None))]
    pub async fn register(
        &self,
        application: NewApplication,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<ApplicationInfo, PresenceError> {
        Ok(runtime::wait(cancel, self.api.register(application.into())).await?.into())
    }

    /// The user's own Applications.
    ///
    /// # Errors
    ///
    /// As every call.
    #[uniffi::method(default(cancel = None))]
    pub async fn applications(
        &self,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Vec<ApplicationInfo>, PresenceError> {
        let applications = runtime::wait(cancel, self.api.applications()).await?;
        Ok(applications.into_iter().map(Into::into).collect())
    }

    /// One of the user's own Applications.
    ///
    /// # Errors
    ///
    /// `Refused` with `UnknownApplication` (40).
    #[uniffi::method(default(cancel = None))]
    pub async fn application(
        &self,
        appid: String,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<ApplicationInfo, PresenceError> {
        let appid = application(&appid)?;
        Ok(runtime::wait(cancel, self.api.application(appid)).await?.into())
    }

    /// Changes an Application.
    ///
    /// # Errors
    ///
    /// `Refused` with `UnknownApplication` (40) or `InvalidField` (12).
    #[uniffi::method(default(cancel = None))]
    pub async fn change(
        &self,
        appid: String,
        change: ApplicationChange,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<ApplicationInfo, PresenceError> {
        let appid = application(&appid)?;
        Ok(runtime::wait(cancel, self.api.change(appid, change.into())).await?.into())
    }

    /// Removes an Application with its keys, grants and notifications.
    ///
    /// # Errors
    ///
    /// `Refused` with `UnknownApplication` (40).
    #[uniffi::method(default(cancel = None))]
    pub async fn remove(
        &self,
        appid: String,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<(), PresenceError> {
        runtime::wait(cancel, self.api.remove(application(&appid)?)).await
    }

    /// Has the server look whether the Application's domain shows its key at `/__presence`.
    ///
    /// # Errors
    ///
    /// `Refused` with `DomainNotVerified` (43) where it does not.
    #[uniffi::method(default(cancel = None))]
    pub async fn verify(
        &self,
        appid: String,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<ApplicationInfo, PresenceError> {
        Ok(runtime::wait(cancel, self.api.verify(application(&appid)?)).await?.into())
    }

    /// Starts an Application. The first time, the answer has its first API key.
    ///
    /// # Errors
    ///
    /// `Refused` with `DomainNotVerified` (43).
    #[uniffi::method(default(cancel = None))]
    pub async fn activate(
        &self,
        appid: String,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Activated, PresenceError> {
        Ok(runtime::wait(cancel, self.api.activate(application(&appid)?)).await?.into())
    }

    /// Stops an Application: it sees everybody offline once, then nothing. Its keys and grants stay.
    ///
    /// # Errors
    ///
    /// `Refused` with `UnknownApplication` (40).
    #[uniffi::method(default(cancel = None))]
    pub async fn deactivate(
        &self,
        appid: String,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Activated, PresenceError> {
        Ok(runtime::wait(cancel, self.api.deactivate(application(&appid)?)).await?.into())
    }

    /// The keys of an Application.
    ///
    /// # Errors
    ///
    /// `Refused` with `UnknownApplication` (40).
    #[uniffi::method(default(cancel = None))]
    pub async fn keys(
        &self,
        appid: String,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Vec<KeyInfo>, PresenceError> {
        let keys = runtime::wait(cancel, self.api.keys(application(&appid)?)).await?;
        Ok(keys.into_iter().map(Into::into).collect())
    }

    /// Makes a further key, so that one can be changed for another without a gap.
    ///
    /// # Errors
    ///
    /// `Refused` with `DomainNotVerified` (43), or with `TooLarge` (14) where there are the most keys already.
    #[uniffi::method(default(cancel = None))]
    pub async fn create_key(
        &self,
        appid: String,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<NewKey, PresenceError> {
        Ok(runtime::wait(cancel, self.api.create_key(application(&appid)?)).await?.into())
    }

    /// Deletes a key, and closes the sockets that were opened with it.
    ///
    /// # Errors
    ///
    /// `Refused` with `NotFound` (47) where there is no such key.
    #[uniffi::method(default(cancel = None))]
    pub async fn delete_key(
        &self,
        appid: String,
        id: i64,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<(), PresenceError> {
        runtime::wait(cancel, self.api.delete_key(application(&appid)?, id)).await
    }
}

pub(super) fn application(appid: &str) -> Result<sdk::AppId, PresenceError> {
    id(appid, "the Application")
}
