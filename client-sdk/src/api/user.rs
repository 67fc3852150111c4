//! The calls of a user with a session: sessions, grants, devices and the account.

use std::fmt;

use presence_protocol::open::OpenStatus;
use presence_protocol::{AppId, DeviceName, NotificationId, Puid, UnixMillis};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::application::{Application, ApplicationState};
use super::call::{EmptyReply, RestCall};
use super::entries::entries;
use super::http_client::HttpClient;
use super::session::{OpenSession, Session};
use crate::error::Error;

/// The calls of a user, made with the token of a session. Clones share the token.
///
/// If the session has ended, a call fails with `session_expired` (32). If the scope of the session
/// is too small, it fails with `forbidden` (45): the scope [`Device`](crate::Scope::Device) allows
/// reading only.
#[derive(Clone)]
pub struct UserApi {
    http: HttpClient,
    token: SecretString,
}

/// A grant that was created.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct CreatedGrant {
    /// The PUID: the id of the user for this Application.
    pub uid: Puid,
    /// The Application.
    pub appid: AppId,
    /// The URL to which the user is redirected, if a redirect was requested.
    pub redirect: Option<String>,
}

/// A grant: an Application that may see the user's presence.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Grant {
    /// The Application.
    pub appid: AppId,
    /// The PUID: the id of the user for this Application.
    pub uid: Puid,
    /// The name of the Application.
    pub name: String,
    /// The domain of the Application.
    pub domain: String,
    /// Set if the user has paused the grant, so that the Application sees the user offline.
    pub paused: bool,
    /// Set if the Application has another domain than the one that the user agreed to. It then sees
    /// the user offline, until the user agrees again.
    #[serde(default)]
    pub waiting: bool,
    /// The domain that the user agreed to.
    #[serde(default)]
    pub granted_domain: String,
    /// The name of the Application before its last change, for 30 days after it.
    #[serde(default)]
    pub previous_name: Option<String>,
    /// The time at which the grant was created.
    pub granted_at: UnixMillis,
    /// The time at which the Application last read the presence of this user: never before the
    /// grant, and not while it is paused.
    #[serde(rename = "last_looked_at")]
    pub last_accessed_at: Option<UnixMillis>,
    /// The state of the Application.
    pub state: ApplicationState,
}

/// A device that is connected, or is in its grace time after a lost connection.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Device {
    /// The name.
    #[serde(rename = "device")]
    pub name: DeviceName,
    /// The last status that it reported to all Applications.
    pub status: OpenStatus,
    /// The text of that status.
    pub message: Option<String>,
    /// Set if it is connected. If not, its presence is kept for a grace time.
    pub connected: bool,
    /// The time at which it connected.
    pub since: UnixMillis,
}

/// All data that the server stores about a user.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Account {
    /// The verified e-mail address.
    pub email: String,
    /// The time of the user's first sign-in.
    pub created_at: UnixMillis,
    /// The number of open sessions.
    pub sessions: u64,
    /// The grants, the oldest first.
    #[serde(deserialize_with = "entries")]
    pub grants: Vec<Grant>,
    /// The user's own Applications.
    #[serde(rename = "apps")]
    #[serde(deserialize_with = "entries")]
    pub applications: Vec<Application>,
    /// The devices that are connected, or are in their grace time.
    #[serde(deserialize_with = "entries")]
    pub devices: Vec<Device>,
    /// The notifications that wait for a device.
    #[serde(deserialize_with = "entries")]
    pub notifications: Vec<PendingNotification>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("created_at", &self.created_at)
            .field("sessions", &self.sessions)
            .finish_non_exhaustive()
    }
}

/// A notification that waits for a device.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct PendingNotification {
    /// The id.
    pub id: NotificationId,
    /// The Application.
    pub appid: AppId,
    /// The sender as the AppService names it, or the name of the Application.
    pub source: String,
    /// The name of the Application.
    pub application: String,
    /// The verified domain of the Application.
    pub domain: String,
    /// The text.
    pub message: String,
    /// The URL to open, or empty.
    pub action: String,
    /// The time at which the server accepted the notification.
    pub sent_at: UnixMillis,
    /// The time at which the notification expires.
    pub expires_at: UnixMillis,
}

impl UserApi {
    pub(super) fn new(http: HttpClient, token: SecretString) -> Self {
        Self { http, token }
    }

    /// Makes a call with the token.
    pub(super) async fn call<T: for<'de> Deserialize<'de>>(
        &self,
        call: RestCall,
    ) -> Result<T, Error> {
        self.http.call(call.bearer(&self.token)).await
    }

    /// Makes a call whose reply has no content.
    pub(super) async fn call_for_empty_reply(&self, call: RestCall) -> Result<(), Error> {
        self.call::<EmptyReply>(call).await.map(|_| ())
    }

    /// Returns the session of the token.
    ///
    /// # Errors
    ///
    /// The errors of every call: see [`UserApi`].
    pub async fn session(&self) -> Result<Session, Error> {
        self.call(RestCall::get("/session")).await
    }

    /// Ends the session, and closes the sockets that were opened with its token.
    ///
    /// # Errors
    ///
    /// The errors of every call: see [`UserApi`].
    pub async fn sign_out(&self) -> Result<(), Error> {
        self.call_for_empty_reply(RestCall::delete("/session")).await
    }

    /// Returns all sessions of the user, the newest first.
    ///
    /// # Errors
    ///
    /// The errors of every call: see [`UserApi`].
    pub async fn sessions(&self) -> Result<Vec<OpenSession>, Error> {
        #[derive(Deserialize)]
        struct SessionList {
            #[serde(deserialize_with = "entries")]
            sessions: Vec<OpenSession>,
        }
        Ok(self.call::<SessionList>(RestCall::get("/sessions")).await?.sessions)
    }

    /// Ends another session of the user, by the id in the list, and closes the sockets that were
    /// opened with it. [`UserApi::sign_out`] ends the own one.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `not_found` (47) if the user has no other session with this id.
    pub async fn end_session(&self, id: &str) -> Result<(), Error> {
        self.call_for_empty_reply(RestCall::delete("/sessions/{id}").path_param(id)).await
    }

    /// Ends all other sessions of the user, and closes the sockets that were opened with them.
    ///
    /// # Errors
    ///
    /// The errors of every call: see [`UserApi`].
    pub async fn end_other_sessions(&self) -> Result<(), Error> {
        self.call_for_empty_reply(RestCall::delete("/sessions")).await
    }

    /// Allows an Application to see the user's presence. A repeated call returns the same `uid`;
    /// a call after a revoke returns a new one.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `unknown_application` (40) or `application_not_active` (42).
    pub async fn grant(&self, application: AppId) -> Result<CreatedGrant, Error> {
        self.create_grant(application, None, None).await
    }

    /// Allows an Application to see the user's presence, and returns the URL to which the user is
    /// redirected: [`CreatedGrant::redirect`] is the given page on the Application's domain, with
    /// `Presence-UID` and `state` in its query. The Application gets `state` unchanged, and can
    /// recognise its own user by it.
    ///
    /// # Errors
    ///
    /// The errors of [`UserApi::grant`], and `redirect_not_allowed` (46) if the page is not on the
    /// Application's domain.
    pub async fn grant_with_redirect(
        &self,
        application: AppId,
        redirect: &str,
        state: Option<&str>,
    ) -> Result<CreatedGrant, Error> {
        self.create_grant(application, Some(redirect), state).await
    }

    async fn create_grant(
        &self,
        application: AppId,
        redirect: Option<&str>,
        state: Option<&str>,
    ) -> Result<CreatedGrant, Error> {
        #[derive(Serialize)]
        struct GrantBody<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            redirect: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            state: Option<&'a str>,
        }
        let call = RestCall::post("/grant/{appid}").path_param(application);
        self.call(call.json(&GrantBody { redirect, state }).idempotent()).await
    }

    /// Returns the user's grants, the oldest first.
    ///
    /// # Errors
    ///
    /// The errors of every call: see [`UserApi`].
    pub async fn grants(&self) -> Result<Vec<Grant>, Error> {
        #[derive(Deserialize)]
        struct GrantList {
            #[serde(deserialize_with = "entries")]
            grants: Vec<Grant>,
        }
        Ok(self.call::<GrantList>(RestCall::get("/grants")).await?.grants)
    }

    /// Pauses or resumes a grant. While it is paused, the Application sees the user offline, and
    /// its notifications wait.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `unknown_application` (40) if there is no such grant.
    pub async fn set_paused(&self, application: AppId, paused: bool) -> Result<Grant, Error> {
        #[derive(Serialize)]
        struct PauseBody {
            paused: bool,
        }
        let call = RestCall::patch("/grants/{appid}").path_param(application);
        self.call(call.json(&PauseBody { paused })).await
    }

    /// Revokes a grant. After the reply the Application sees nothing of the user any more, and its
    /// `uid` for the user is invalid.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `unknown_application` (40) if there is no such grant.
    pub async fn revoke(&self, application: AppId) -> Result<(), Error> {
        self.call_for_empty_reply(RestCall::delete("/grants/{appid}").path_param(application)).await
    }

    /// Returns the devices that are connected, or are in their grace time.
    ///
    /// # Errors
    ///
    /// The errors of every call: see [`UserApi`].
    pub async fn devices(&self) -> Result<Vec<Device>, Error> {
        #[derive(Deserialize)]
        struct DeviceList {
            #[serde(deserialize_with = "entries")]
            devices: Vec<Device>,
        }
        Ok(self.call::<DeviceList>(RestCall::get("/devices")).await?.devices)
    }

    /// Ends a device: its channel is closed for good, and its presence ends at once.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `not_found` (47) if no such device is connected.
    pub async fn end_device(&self, device: &DeviceName) -> Result<(), Error> {
        self.call_for_empty_reply(RestCall::delete("/devices/{device}").path_param(device)).await
    }

    /// Returns all data that the server stores about the user.
    ///
    /// # Errors
    ///
    /// The errors of every call: see [`UserApi`].
    pub async fn account(&self) -> Result<Account, Error> {
        self.call(RestCall::get("/account")).await
    }

    /// Deletes the user with all grants, pending notifications, sessions and own Applications. All
    /// sockets of the user are closed.
    ///
    /// # Errors
    ///
    /// The errors of every call: see [`UserApi`].
    pub async fn erase_account(&self) -> Result<(), Error> {
        self.call_for_empty_reply(RestCall::delete("/account")).await
    }
}

impl fmt::Debug for UserApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserApi").field("server", self.http.server()).finish_non_exhaustive()
    }
}
