//! The calls of a user who is a developer: Applications and their API keys.

use std::sync::Arc;

use super::application::{
    ActivationResult, ApiKeyInfo, ApplicationChange, ApplicationInfo, CreatedApiKey,
    NewApplication, application_id,
};
use super::user::UserApi;
use crate::cancel::CancelToken;
use crate::error::PresenceError;
use crate::runtime;

/// Calls for developers. The session must have the scope `Account`. An Application of another user
/// is refused like one that does not exist: with `UnknownApplication` (40).
#[uniffi::export]
impl UserApi {
    /// Registers an Application. Next, publish its `domain_key` on its domain, and call `verify`.
    ///
    /// # Errors
    ///
    /// `Refused` with `InvalidField` (12), or with `TooLarge` (14) if the developer has the maximum
    /// number of Applications.
    #[uniffi::method(default(cancel = None))]
    pub async fn register(
        &self,
        application: NewApplication,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<ApplicationInfo, PresenceError> {
        Ok(runtime::wait(cancel, self.api.register(application.into())).await?.into())
    }

    /// Returns the Applications that the user has registered.
    ///
    /// # Errors
    ///
    /// The errors of every call: see `UserApi`.
    #[uniffi::method(default(cancel = None))]
    pub async fn applications(
        &self,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Vec<ApplicationInfo>, PresenceError> {
        let applications = runtime::wait(cancel, self.api.applications()).await?;
        Ok(applications.into_iter().map(Into::into).collect())
    }

    /// Returns one of the Applications that the user has registered.
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
        let appid = application_id(&appid)?;
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
        let appid = application_id(&appid)?;
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
        runtime::wait(cancel, self.api.remove(application_id(&appid)?)).await
    }

    /// Asks the server to check that the domain of the Application shows its key at `/__presence`.
    ///
    /// # Errors
    ///
    /// `Refused` with `DomainNotVerified` (43) if it does not.
    #[uniffi::method(default(cancel = None))]
    pub async fn verify(
        &self,
        appid: String,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<ApplicationInfo, PresenceError> {
        Ok(runtime::wait(cancel, self.api.verify(application_id(&appid)?)).await?.into())
    }

    /// Activates an Application. The first activation returns its first API key.
    ///
    /// # Errors
    ///
    /// `Refused` with `DomainNotVerified` (43).
    #[uniffi::method(default(cancel = None))]
    pub async fn activate(
        &self,
        appid: String,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<ActivationResult, PresenceError> {
        Ok(runtime::wait(cancel, self.api.activate(application_id(&appid)?)).await?.into())
    }

    /// Deactivates an Application. It sees all its users as offline, and then nothing more. Its API
    /// keys and grants are kept.
    ///
    /// # Errors
    ///
    /// `Refused` with `UnknownApplication` (40).
    #[uniffi::method(default(cancel = None))]
    pub async fn deactivate(
        &self,
        appid: String,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<ActivationResult, PresenceError> {
        Ok(runtime::wait(cancel, self.api.deactivate(application_id(&appid)?)).await?.into())
    }

    /// Returns the API keys of an Application, without their secrets.
    ///
    /// # Errors
    ///
    /// `Refused` with `UnknownApplication` (40).
    #[uniffi::method(default(cancel = None))]
    pub async fn keys(
        &self,
        appid: String,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Vec<ApiKeyInfo>, PresenceError> {
        let keys = runtime::wait(cancel, self.api.keys(application_id(&appid)?)).await?;
        Ok(keys.into_iter().map(Into::into).collect())
    }

    /// Creates another API key, so that a key can be replaced without a gap.
    ///
    /// # Errors
    ///
    /// `Refused` with `DomainNotVerified` (43), or with `TooLarge` (14) if the Application has the
    /// maximum number of keys.
    #[uniffi::method(default(cancel = None))]
    pub async fn create_key(
        &self,
        appid: String,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<CreatedApiKey, PresenceError> {
        Ok(runtime::wait(cancel, self.api.create_key(application_id(&appid)?)).await?.into())
    }

    /// Deletes an API key, and closes the connections that were opened with it.
    ///
    /// # Errors
    ///
    /// `Refused` with `NotFound` (47) if there is no such key.
    #[uniffi::method(default(cancel = None))]
    pub async fn delete_key(
        &self,
        appid: String,
        id: i64,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<(), PresenceError> {
        runtime::wait(cancel, self.api.delete_key(application_id(&appid)?, id)).await
    }
}
