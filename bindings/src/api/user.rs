//! What a user may do with a session: see and change who may see them, what is connected, and what is held about them.

use std::sync::Arc;

use presence_client as sdk;

use super::SessionScope;
use super::application::{ApplicationInfo, ApplicationState, application};
use crate::cancel::CancelToken;
use crate::error::PresenceError;
use crate::live::Live;
use crate::presence::{PresenceStatus, id, milliseconds};
use crate::runtime;

/// A session.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct SessionInfo {
    /// The verified e-mail.
    pub email: String,
    /// What the session may do.
    pub scope: SessionScope,
    /// When it ends: milliseconds since 1970 UTC.
    pub expires_at_ms: i64,
}

impl From<sdk::Session> for SessionInfo {
    fn from(session: sdk::Session) -> Self {
        Self {
            email: session.email,
            scope: session.scope.into(),
            expires_at_ms: milliseconds(session.expires_at),
        }
    }
}

/// A grant that was given.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Granted {
    /// The name of the user for this Application: the PUID.
    pub uid: String,
    /// The Application.
    pub appid: String,
    /// Where to lead the user now, where that was asked for.
    pub redirect: Option<String>,
}

impl From<sdk::CreatedGrant> for Granted {
    fn from(granted: sdk::CreatedGrant) -> Self {
        Self {
            uid: granted.uid.to_string(),
            appid: granted.appid.to_string(),
            redirect: granted.redirect,
        }
    }
}

/// A grant: an Application that may see the user.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct GrantInfo {
    /// The Application.
    pub appid: String,
    /// Under which name it sees the user.
    pub uid: String,
    /// The Application's name.
    pub name: String,
    /// Its domain.
    pub domain: String,
    /// Whether the user has paused it, so that it sees them offline.
    pub paused: bool,
    /// When it was given: milliseconds since 1970 UTC.
    pub granted_at_ms: i64,
    /// When the Application last looked at anybody's presence: milliseconds since 1970 UTC.
    pub last_looked_at_ms: Option<i64>,
    /// How far the Application has come.
    pub state: ApplicationState,
}

impl From<sdk::Grant> for GrantInfo {
    fn from(grant: sdk::Grant) -> Self {
        Self {
            appid: grant.appid.to_string(),
            uid: grant.uid.to_string(),
            name: grant.name,
            domain: grant.domain,
            paused: grant.paused,
            granted_at_ms: milliseconds(grant.granted_at),
            last_looked_at_ms: grant.last_accessed_at.map(milliseconds),
            state: grant.state.into(),
        }
    }
}

/// A device that is connected, or was a moment ago.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct DeviceInfo {
    /// Its name.
    pub name: String,
    /// What it last reported to all.
    pub status: PresenceStatus,
    /// The text of that.
    pub message: Option<String>,
    /// Whether it is connected; if not, its presence is kept for a grace time.
    pub connected: bool,
    /// When it connected: milliseconds since 1970 UTC.
    pub since_ms: i64,
}

impl From<sdk::Device> for DeviceInfo {
    fn from(device: sdk::Device) -> Self {
        Self {
            name: device.name.to_string(),
            status: device.status.into(),
            message: device.message.map(String::from),
            connected: device.connected,
            since_ms: milliseconds(device.since),
        }
    }
}

/// A notification that waits for a device.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct WaitingNotification {
    /// Its name.
    pub id: String,
    /// The Application.
    pub appid: String,
    /// The Application's name.
    pub source: String,
    /// The text.
    pub message: String,
    /// Empty, or the URL to open.
    pub action: String,
    /// When it was accepted: milliseconds since 1970 UTC.
    pub sent_at_ms: i64,
    /// When it expires: milliseconds since 1970 UTC.
    pub expires_at_ms: i64,
}

impl From<sdk::PendingNotification> for WaitingNotification {
    fn from(waiting: sdk::PendingNotification) -> Self {
        Self {
            id: waiting.id.to_string(),
            appid: waiting.appid.to_string(),
            source: waiting.source,
            message: waiting.message,
            action: waiting.action,
            sent_at_ms: milliseconds(waiting.sent_at),
            expires_at_ms: milliseconds(waiting.expires_at),
        }
    }
}

/// Everything that is held about a user.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct AccountInfo {
    /// The verified e-mail.
    pub email: String,
    /// When the user was first seen: milliseconds since 1970 UTC.
    pub created_at_ms: i64,
    /// How many sessions are open.
    pub sessions: u64,
    /// Who may see the user, the oldest first.
    pub grants: Vec<GrantInfo>,
    /// The user's own Applications.
    pub applications: Vec<ApplicationInfo>,
    /// What is connected.
    pub devices: Vec<DeviceInfo>,
    /// The notifications that wait for a device.
    pub notifications: Vec<WaitingNotification>,
}

impl From<sdk::Account> for AccountInfo {
    fn from(account: sdk::Account) -> Self {
        Self {
            email: account.email,
            created_at_ms: milliseconds(account.created_at),
            sessions: account.sessions,
            grants: account.grants.into_iter().map(Into::into).collect(),
            applications: account.applications.into_iter().map(Into::into).collect(),
            devices: account.devices.into_iter().map(Into::into).collect(),
            notifications: account.notifications.into_iter().map(Into::into).collect(),
        }
    }
}

/// The calls of a user, made with the token of a session.
///
/// Where the session has ended they are refused with `SessionExpired` (32), and where its scope is too small with `Forbidden`
/// (45): with the scope `Device` one can read, but change nothing.
#[derive(Debug, uniffi::Object)]
pub struct UserApi {
    pub(super) api: sdk::UserApi,
    _live: Live,
}

impl UserApi {
    pub(super) fn of(api: sdk::UserApi) -> Arc<Self> {
        Arc::new(Self { api, _live: Live::new() })
    }
}

#[uniffi::export]
impl UserApi {
    /// Whose session this is, and how long it lasts.
    ///
    /// # Errors
    ///
    /// As every call.
    #[uniffi::method(default(cancel = None))]
    pub async fn session(
        &self,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<SessionInfo, PresenceError> {
        Ok(runtime::wait(cancel, self.api.session()).await?.into())
    }

    /// Ends the session, and closes the sockets that were opened with its token.
    ///
    /// # Errors
    ///
    /// As every call.
    #[uniffi::method(default(cancel = None))]
    pub async fn sign_out(&self, cancel: Option<Arc<CancelToken>>) -> Result<(), PresenceError> {
        runtime::wait(cancel, self.api.sign_out()).await
    }

    /// Lets an Application see the user. Again, it answers the same `uid`; after a revoke a new one.
    ///
    /// # Errors
    ///
    /// `Refused` with `UnknownApplication` (40) or `ApplicationNotActive` (42).
    #[uniffi::method(default(cancel = None))]
    pub async fn grant(
        &self,
        appid: String,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Granted, PresenceError> {
        Ok(runtime::wait(cancel, self.api.grant(application(&appid)?)).await?.into())
    }

    /// The same, and asks where to lead the user then: `redirect` of the answer is the given page on the Application's domain,
    /// with `Presence-UID` and `state` in its query. The Application gets `state` back untouched, to know its own user by.
    ///
    /// # Errors
    ///
    /// As `grant`, and `RedirectNotAllowed` (46) where the page is not on the Application's domain.
    #[uniffi::method(default(state = None, cancel = None))]
    pub async fn grant_and_return(
        &self,
        appid: String,
        redirect: String,
        state: Option<String>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Granted, PresenceError> {
        let appid = application(&appid)?;
        let call = self.api.grant_and_return(appid, &redirect, state.as_deref());
        Ok(runtime::wait(cancel, call).await?.into())
    }

    /// Who may see the user, the oldest first.
    ///
    /// # Errors
    ///
    /// As every call.
    #[uniffi::method(default(cancel = None))]
    pub async fn grants(
        &self,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Vec<GrantInfo>, PresenceError> {
        let grants = runtime::wait(cancel, self.api.grants()).await?;
        Ok(grants.into_iter().map(Into::into).collect())
    }

    /// Pauses a grant, or resumes it. While it is paused the Application sees the user offline, and its notifications wait.
    ///
    /// # Errors
    ///
    /// `Refused` with `UnknownApplication` (40) where there is no such grant.
    #[uniffi::method(default(cancel = None))]
    pub async fn pause(
        &self,
        appid: String,
        paused: bool,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<GrantInfo, PresenceError> {
        Ok(runtime::wait(cancel, self.api.set_paused(application(&appid)?, paused)).await?.into())
    }

    /// Revokes a grant. Once it is answered, the Application sees nothing more; its `uid` for this user is dead.
    ///
    /// # Errors
    ///
    /// `Refused` with `UnknownApplication` (40) where there is no such grant.
    #[uniffi::method(default(cancel = None))]
    pub async fn revoke(
        &self,
        appid: String,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<(), PresenceError> {
        runtime::wait(cancel, self.api.revoke(application(&appid)?)).await
    }

    /// The devices that are connected, or were a moment ago.
    ///
    /// # Errors
    ///
    /// As every call.
    #[uniffi::method(default(cancel = None))]
    pub async fn devices(
        &self,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Vec<DeviceInfo>, PresenceError> {
        let devices = runtime::wait(cancel, self.api.devices()).await?;
        Ok(devices.into_iter().map(Into::into).collect())
    }

    /// Ends a device: its channel is closed for good, and its presence ends at once.
    ///
    /// # Errors
    ///
    /// `Refused` with `NotFound` (47) where no such device is connected.
    #[uniffi::method(default(cancel = None))]
    pub async fn end_device(
        &self,
        device: String,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<(), PresenceError> {
        let device = id(&device, "the name of the device")?;
        runtime::wait(cancel, self.api.end_device(&device)).await
    }

    /// Everything that is held about the user.
    ///
    /// # Errors
    ///
    /// As every call.
    #[uniffi::method(default(cancel = None))]
    pub async fn account(
        &self,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<AccountInfo, PresenceError> {
        Ok(runtime::wait(cancel, self.api.account()).await?.into())
    }

    /// Erases the user: grants, waiting notifications, sessions, own Applications. All their sockets are closed.
    ///
    /// # Errors
    ///
    /// As every call.
    #[uniffi::method(default(cancel = None))]
    pub async fn erase_account(
        &self,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<(), PresenceError> {
        runtime::wait(cancel, self.api.erase_account()).await
    }
}
