//! The calls of a developer, which register and activate Applications and manage their keys.

use presence_protocol::AppId;
use serde::Deserialize;

use super::application::{
    ActivationResult, ApiKeyInfo, Application, ApplicationChange, CreatedApiKey, NewApplication,
};
use super::call::RestCall;
use super::entries::entries;
use super::user::UserApi;
use crate::error::Error;

/// The calls of a developer. The session must have the scope
/// [`Account`](crate::Scope::Account). An Application of another user is as unknown as one that
/// does not exist: `unknown_application` (40).
impl UserApi {
    /// Registers an Application. Its domain then has to serve [`Application::domain_key`], and
    /// [`UserApi::verify`] checks that.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `invalid_field` (12), or with `too_large` (14) if the developer has
    /// the maximum number of Applications.
    pub async fn register(&self, application: NewApplication) -> Result<Application, Error> {
        self.call(RestCall::post("/apps").json(&application)).await
    }

    /// Returns the user's Applications.
    ///
    /// # Errors
    ///
    /// The errors of every call: see [`UserApi`].
    pub async fn applications(&self) -> Result<Vec<Application>, Error> {
        #[derive(Deserialize)]
        struct ApplicationList {
            #[serde(deserialize_with = "entries")]
            apps: Vec<Application>,
        }
        Ok(self.call::<ApplicationList>(RestCall::get("/apps")).await?.apps)
    }

    /// Returns one of the user's Applications.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `unknown_application` (40).
    pub async fn application(&self, application: AppId) -> Result<Application, Error> {
        self.call(RestCall::get("/apps/{appid}").path_param(application)).await
    }

    /// Changes an Application.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `unknown_application` (40) or `invalid_field` (12).
    pub async fn change(
        &self,
        application: AppId,
        change: ApplicationChange,
    ) -> Result<Application, Error> {
        self.call(RestCall::patch("/apps/{appid}").path_param(application).json(&change)).await
    }

    /// Removes an Application with its keys, grants and notifications.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `unknown_application` (40).
    pub async fn remove(&self, application: AppId) -> Result<(), Error> {
        self.call_for_empty_reply(RestCall::delete("/apps/{appid}").path_param(application)).await
    }

    /// Asks the server to check that the domain of an Application serves its key at `/__presence`.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `domain_not_verified` (43) if it does not.
    pub async fn verify(&self, application: AppId) -> Result<Application, Error> {
        let call = RestCall::post("/apps/{appid}/verify").path_param(application);
        self.call(call.idempotent()).await
    }

    /// Activates an Application. The reply to the first activation has the first API key.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `domain_not_verified` (43).
    pub async fn activate(&self, application: AppId) -> Result<ActivationResult, Error> {
        self.call(RestCall::post("/apps/{appid}/activate").path_param(application)).await
    }

    /// Deactivates an Application. It sees every user go offline once, and gets no further
    /// updates. Its keys and grants are kept.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `unknown_application` (40).
    pub async fn deactivate(&self, application: AppId) -> Result<ActivationResult, Error> {
        let call = RestCall::post("/apps/{appid}/deactivate").path_param(application);
        self.call(call.idempotent()).await
    }

    /// Returns the API keys of an Application.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `unknown_application` (40).
    pub async fn keys(&self, application: AppId) -> Result<Vec<ApiKeyInfo>, Error> {
        #[derive(Deserialize)]
        struct KeyList {
            #[serde(deserialize_with = "entries")]
            keys: Vec<ApiKeyInfo>,
        }
        let call = RestCall::get("/apps/{appid}/keys").path_param(application);
        Ok(self.call::<KeyList>(call).await?.keys)
    }

    /// Creates a further API key, so that a key can be replaced without an interruption.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `domain_not_verified` (43), or with `too_large` (14) if the
    /// Application has the maximum number of keys.
    pub async fn create_key(&self, application: AppId) -> Result<CreatedApiKey, Error> {
        self.call(RestCall::post("/apps/{appid}/keys").path_param(application)).await
    }

    /// Deletes an API key, and closes the sockets that were opened with it.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `not_found` (47) if there is no such key.
    pub async fn delete_key(&self, application: AppId, id: i64) -> Result<(), Error> {
        let call = RestCall::delete("/apps/{appid}/keys/{id}").path_param(application);
        self.call_for_empty_reply(call.path_param(id)).await
    }
}
