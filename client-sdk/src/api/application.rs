//! What a developer may do: register Applications, bring them to life, and handle their keys.

use presence_protocol::AppId;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::error::Error;

use super::call::Call;
use super::user::UserApi;
use super::{optional_secret, secret};

/// An Application to be registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewApplication {
    /// Its name, at most 200 characters; devices see it as the `source` of notifications.
    pub name: String,
    /// Its domain: a lower-case host name. A server in development mode also takes `localhost` and `127.0.0.1`, with a port.
    pub domain: String,
    /// What it is, at most 2,000 characters.
    pub description: String,
}

/// How far an Application has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ApplicationState {
    /// Its domain has yet to be verified.
    Registered,
    /// Its domain is verified, and it was never activated since.
    Verified,
    /// It gets presence.
    Active,
    /// Its domain is verified, and it was deactivated.
    Inactive,
    /// Something newer than this crate.
    #[serde(other)]
    Unknown,
}

/// An Application of the user's own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Application {
    /// Its id.
    pub appid: AppId,
    /// Its name.
    pub name: String,
    /// Its domain.
    pub domain: String,
    /// What it is.
    pub description: String,
    /// How far it has come.
    pub state: ApplicationState,
    /// What its domain must show at `/__presence` for [`UserApi::verify`]. Everybody may know it.
    pub domain_key: String,
    /// When it was registered: milliseconds since 1970 UTC.
    pub created_at: u64,
    /// Since when the operator of the server has blocked it: milliseconds since 1970 UTC. It is inactive then, and its developer
    /// cannot start it.
    pub blocked_at: Option<u64>,
}

/// What to change of an Application; what is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ApplicationChange {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its domain. Another one has to be verified again, and the Application is stopped until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// An Application that was started or stopped.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct ActivationResult {
    /// How far it has come.
    pub state: ApplicationState,
    /// Its first API key, on its first activation, shown this once.
    #[serde(default, deserialize_with = "optional_secret")]
    pub api_key: Option<SecretString>,
}

/// An API key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ApiKeyInfo {
    /// Its name.
    pub id: i64,
    /// Its first characters, which are no secret.
    pub prefix: String,
    /// When it was made: milliseconds since 1970 UTC.
    pub created_at: u64,
    /// When it was last used, to the minute: milliseconds since 1970 UTC.
    pub last_used_at: Option<u64>,
}

/// An API key that was made.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct CreatedApiKey {
    /// Its name.
    pub id: i64,
    /// The key, shown this once.
    #[serde(deserialize_with = "secret")]
    pub api_key: SecretString,
    /// Its first characters, by which lists show it.
    pub prefix: String,
    /// When it was made: milliseconds since 1970 UTC.
    pub created_at: u64,
}

/// For developers. The session must be of the scope [`Account`](super::Scope::Account). Somebody else's Application is as unknown
/// as one that does not exist: `unknown_application` (40).
impl UserApi {
    /// Registers an Application. Next, its domain shows [`Application::domain_key`], then comes [`UserApi::verify`].
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `invalid_field` (12), or with `too_large` (14) where the developer has the most Applications already.
    pub async fn register(&self, application: NewApplication) -> Result<Application, Error> {
        self.call(Call::post("/apps").json(&application)).await
    }

    /// The user's own Applications.
    ///
    /// # Errors
    ///
    /// As every call.
    pub async fn applications(&self) -> Result<Vec<Application>, Error> {
        #[derive(Deserialize)]
        struct Applications {
            apps: Vec<Application>,
        }
        Ok(self.call::<Applications>(Call::get("/apps")).await?.apps)
    }

    /// One of the user's own Applications.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `unknown_application` (40).
    pub async fn application(&self, application: AppId) -> Result<Application, Error> {
        self.call(Call::get("/apps/{appid}").piece(application)).await
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
        self.call(Call::patch("/apps/{appid}").piece(application).json(&change)).await
    }

    /// Removes an Application with its keys, grants and notifications.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `unknown_application` (40).
    pub async fn remove(&self, application: AppId) -> Result<(), Error> {
        self.order(Call::delete("/apps/{appid}").piece(application)).await
    }

    /// Has the server look whether the Application's domain shows its key at `/__presence`.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `domain_not_verified` (43) where it does not.
    pub async fn verify(&self, application: AppId) -> Result<Application, Error> {
        let call = Call::post("/apps/{appid}/verify").piece(application);
        self.call(call.may_be_made_twice()).await
    }

    /// Starts an Application. The first time, the answer has its first API key.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `domain_not_verified` (43).
    pub async fn activate(&self, application: AppId) -> Result<ActivationResult, Error> {
        self.call(Call::post("/apps/{appid}/activate").piece(application)).await
    }

    /// Stops an Application: it sees everybody offline once, then nothing. Its keys and grants stay.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `unknown_application` (40).
    pub async fn deactivate(&self, application: AppId) -> Result<ActivationResult, Error> {
        let call = Call::post("/apps/{appid}/deactivate").piece(application);
        self.call(call.may_be_made_twice()).await
    }

    /// The keys of an Application.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `unknown_application` (40).
    pub async fn keys(&self, application: AppId) -> Result<Vec<ApiKeyInfo>, Error> {
        #[derive(Deserialize)]
        struct Keys {
            keys: Vec<ApiKeyInfo>,
        }
        Ok(self.call::<Keys>(Call::get("/apps/{appid}/keys").piece(application)).await?.keys)
    }

    /// Makes a further key, so that one can be changed for another without a gap.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `domain_not_verified` (43), or with `too_large` (14) where there are the most keys already.
    pub async fn create_key(&self, application: AppId) -> Result<CreatedApiKey, Error> {
        self.call(Call::post("/apps/{appid}/keys").piece(application)).await
    }

    /// Deletes a key, and closes the sockets that were opened with it.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `not_found` (47) where there is no such key.
    pub async fn delete_key(&self, application: AppId, id: i64) -> Result<(), Error> {
        self.order(Call::delete("/apps/{appid}/keys/{id}").piece(application).piece(id)).await
    }
}
