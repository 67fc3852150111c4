//! What a user may do with a session: see and change who may see them, what is connected, and what is held about them.

use std::fmt;

use presence_protocol::{AppId, DeviceName, NotificationId, Puid, Status, StatusText};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::error::Error;

use super::application::{Application, ApplicationState};
use super::call::{Call, Done};
use super::http::Http;
use super::session::Session;

/// The calls of a user, made with the token of a session. Clones share it.
///
/// Where the session has ended they answer `session_expired` (32), and where its scope is too small `forbidden` (45): with the
/// scope [`Device`](super::Scope::Device) one can read, but change nothing.
#[derive(Clone)]
pub struct UserApi {
    http: Http,
    token: SecretString,
}

/// A grant that was given.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct CreatedGrant {
    /// The name of the user for this Application.
    pub uid: Puid,
    /// The Application.
    pub appid: AppId,
    /// Where to lead the user now, where that was asked for.
    pub redirect: Option<String>,
}

/// A grant: an Application that may see the user.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Grant {
    /// The Application.
    pub appid: AppId,
    /// Under which name it sees the user.
    pub uid: Puid,
    /// The Application's name.
    pub name: String,
    /// Its domain.
    pub domain: String,
    /// Whether the user has paused it, so that it sees them offline.
    pub paused: bool,
    /// When it was given: milliseconds since 1970 UTC.
    pub granted_at: u64,
    /// When the Application last looked at anybody's presence: milliseconds since 1970 UTC.
    #[serde(rename = "last_looked_at")]
    pub last_accessed_at: Option<u64>,
    /// How far the Application has come.
    pub state: ApplicationState,
}

/// A device that is connected, or was a moment ago.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Device {
    /// Its name.
    #[serde(rename = "device")]
    pub name: DeviceName,
    /// What it last reported to all.
    pub status: Status,
    /// The text of that.
    pub message: Option<StatusText>,
    /// Whether it is connected; if not, its presence is kept for a grace time.
    pub connected: bool,
    /// When it connected: milliseconds since 1970 UTC.
    pub since: u64,
}

/// Everything that is held about a user.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Account {
    /// The verified e-mail.
    pub email: String,
    /// When the user was first seen: milliseconds since 1970 UTC.
    pub created_at: u64,
    /// How many sessions are open.
    pub sessions: u64,
    /// Who may see the user, the oldest first.
    pub grants: Vec<Grant>,
    /// The user's own Applications.
    #[serde(rename = "apps")]
    pub applications: Vec<Application>,
    /// What is connected.
    pub devices: Vec<Device>,
    /// The notifications that wait for a device.
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
    /// Its name.
    pub id: NotificationId,
    /// The Application.
    pub appid: AppId,
    /// The Application's name.
    pub source: String,
    /// The text.
    pub message: String,
    /// Empty, or the URL to open.
    pub action: String,
    /// When it was accepted: milliseconds since 1970 UTC.
    pub sent_at: u64,
    /// When it expires: milliseconds since 1970 UTC.
    pub expires_at: u64,
}

impl UserApi {
    pub(super) fn new(http: Http, token: SecretString) -> Self {
        Self { http, token }
    }

    /// Makes a call with the token.
    pub(super) async fn call<T: for<'de> Deserialize<'de>>(&self, call: Call) -> Result<T, Error> {
        self.http.call(call.bearer(&self.token)).await
    }

    /// Makes a call that answers nothing but OK.
    pub(super) async fn order(&self, call: Call) -> Result<(), Error> {
        self.call::<Done>(call).await.map(|_| ())
    }

    /// Whose session this is, and how long it lasts.
    ///
    /// # Errors
    ///
    /// As every call.
    pub async fn session(&self) -> Result<Session, Error> {
        self.call(Call::get("/session")).await
    }

    /// Ends the session, and closes the sockets that were opened with its token.
    ///
    /// # Errors
    ///
    /// As every call.
    pub async fn sign_out(&self) -> Result<(), Error> {
        self.order(Call::delete("/session")).await
    }

    /// Lets an Application see the user. Again, it answers the same `uid`; after a revoke a new one.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `unknown_application` (40) or `application_not_active` (42).
    pub async fn grant(&self, application: AppId) -> Result<CreatedGrant, Error> {
        self.give(application, None, None).await
    }

    /// The same, and asks where to lead the user then: [`CreatedGrant::redirect`] is the given page on the Application's domain, with
    /// `Presence-UID` and `state` in its query. The Application gets `state` back untouched, to know its own user by.
    ///
    /// # Errors
    ///
    /// As [`UserApi::grant`], and `redirect_not_allowed` (46) where the page is not on the Application's domain.
    pub async fn grant_and_return(
        &self,
        application: AppId,
        redirect: &str,
        state: Option<&str>,
    ) -> Result<CreatedGrant, Error> {
        self.give(application, Some(redirect), state).await
    }

    async fn give(
        &self,
        application: AppId,
        redirect: Option<&str>,
        state: Option<&str>,
    ) -> Result<CreatedGrant, Error> {
        #[derive(Serialize)]
        struct Target<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            redirect: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            state: Option<&'a str>,
        }
        let call = Call::post("/grant/{appid}").piece(application);
        self.call(call.json(&Target { redirect, state }).may_be_made_twice()).await
    }

    /// Who may see the user, the oldest first.
    ///
    /// # Errors
    ///
    /// As every call.
    pub async fn grants(&self) -> Result<Vec<Grant>, Error> {
        #[derive(Deserialize)]
        struct Grants {
            grants: Vec<Grant>,
        }
        Ok(self.call::<Grants>(Call::get("/grants")).await?.grants)
    }

    /// Pauses a grant, or resumes it. While it is paused the Application sees the user offline, and its notifications wait.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `unknown_application` (40) where there is no such grant.
    pub async fn set_paused(&self, application: AppId, paused: bool) -> Result<Grant, Error> {
        #[derive(Serialize)]
        struct Pause {
            paused: bool,
        }
        let call = Call::patch("/grants/{appid}").piece(application);
        self.call(call.json(&Pause { paused })).await
    }

    /// Revokes a grant. Once it is answered, the Application sees nothing more; its `uid` for this user is dead.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `unknown_application` (40) where there is no such grant.
    pub async fn revoke(&self, application: AppId) -> Result<(), Error> {
        self.order(Call::delete("/grants/{appid}").piece(application)).await
    }

    /// The devices that are connected, or were a moment ago.
    ///
    /// # Errors
    ///
    /// As every call.
    pub async fn devices(&self) -> Result<Vec<Device>, Error> {
        #[derive(Deserialize)]
        struct Devices {
            devices: Vec<Device>,
        }
        Ok(self.call::<Devices>(Call::get("/devices")).await?.devices)
    }

    /// Ends a device: its channel is closed for good, and its presence ends at once.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `not_found` (47) where no such device is connected.
    pub async fn end_device(&self, device: &DeviceName) -> Result<(), Error> {
        self.order(Call::delete("/devices/{device}").piece(device)).await
    }

    /// Everything that is held about the user.
    ///
    /// # Errors
    ///
    /// As every call.
    pub async fn account(&self) -> Result<Account, Error> {
        self.call(Call::get("/account")).await
    }

    /// Erases the user: grants, waiting notifications, sessions, own Applications. All their sockets are closed.
    ///
    /// # Errors
    ///
    /// As every call.
    pub async fn erase_account(&self) -> Result<(), Error> {
        self.order(Call::delete("/account")).await
    }
}

impl fmt::Debug for UserApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserApi").field("server", self.http.server()).finish_non_exhaustive()
    }
}
