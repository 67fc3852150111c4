//! The calls of a user with a session: sessions, grants, devices and the account.

use std::sync::Arc;

use super::account::{AccountInfo, CreatedGrant, DeviceInfo, GrantInfo};
use super::application::application_id;
use super::session::{OpenSession, SessionInfo};
use crate::cancel::CancelToken;
use crate::error::PresenceError;
use crate::object_count::CountedObject;
use crate::presence::parse_id;
use crate::runtime;

/// The calls of a user, made with the token of a session.
///
/// Every call is refused with `SessionExpired` (32) if the session has ended, and with `Forbidden`
/// (45) if its scope does not allow the call. The scope `Device` allows only calls that read.
#[derive(Debug, uniffi::Object)]
pub struct UserApi {
    pub(super) api: presence_client::UserApi,
    _counted: CountedObject,
}

impl UserApi {
    pub(super) fn from_sdk(api: presence_client::UserApi) -> Arc<Self> {
        Arc::new(Self { api, _counted: CountedObject::new() })
    }
}

#[uniffi::export]
impl UserApi {
    /// Returns the session: its user, scope and end.
    ///
    /// # Errors
    ///
    /// The errors of every call: see `UserApi`.
    #[uniffi::method(default(cancel = None))]
    pub async fn session(
        &self,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<SessionInfo, PresenceError> {
        Ok(runtime::wait(cancel, self.api.session()).await?.into())
    }

    /// Ends the session, and closes the connections that were opened with its token.
    ///
    /// # Errors
    ///
    /// The errors of every call: see `UserApi`.
    #[uniffi::method(default(cancel = None))]
    pub async fn sign_out(&self, cancel: Option<Arc<CancelToken>>) -> Result<(), PresenceError> {
        runtime::wait(cancel, self.api.sign_out()).await
    }

    /// Returns all sessions of the user, the newest first.
    ///
    /// # Errors
    ///
    /// The errors of every call: see `UserApi`.
    #[uniffi::method(default(cancel = None))]
    pub async fn sessions(
        &self,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Vec<OpenSession>, PresenceError> {
        let sessions = runtime::wait(cancel, self.api.sessions()).await?;
        Ok(sessions.into_iter().map(Into::into).collect())
    }

    /// Ends another session of the user, by the id in the list, and closes the connections that
    /// were opened with it. `sign_out` ends the own one.
    ///
    /// # Errors
    ///
    /// `Refused` with `NotFound` (47) if the user has no other session with this id.
    #[uniffi::method(default(cancel = None))]
    pub async fn end_session(
        &self,
        id: String,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<(), PresenceError> {
        runtime::wait(cancel, self.api.end_session(&id)).await
    }

    /// Ends all other sessions of the user, and closes the connections that were opened with them.
    ///
    /// # Errors
    ///
    /// The errors of every call: see `UserApi`.
    #[uniffi::method(default(cancel = None))]
    pub async fn end_other_sessions(
        &self,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<(), PresenceError> {
        runtime::wait(cancel, self.api.end_other_sessions()).await
    }

    /// Grants an Application permission to see the user. A second call returns the same `uid`.
    /// After a revoke, a new grant has a new `uid`.
    ///
    /// # Errors
    ///
    /// `Refused` with `UnknownApplication` (40) or `ApplicationNotActive` (42).
    #[uniffi::method(default(cancel = None))]
    pub async fn grant(
        &self,
        appid: String,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<CreatedGrant, PresenceError> {
        Ok(runtime::wait(cancel, self.api.grant(application_id(&appid)?)).await?.into())
    }

    /// Creates a grant as `grant` does, and returns in `redirect` the URL to send the user to: the
    /// given page on the domain of the Application, with `Presence-UID` and `state` in its query.
    /// `state` is returned unchanged, so that the Application can recognise its own user.
    ///
    /// # Errors
    ///
    /// The errors of `grant`, and `RedirectNotAllowed` (46) if the page is not on the domain of the
    /// Application.
    #[uniffi::method(default(state = None, cancel = None))]
    pub async fn grant_with_redirect(
        &self,
        appid: String,
        redirect: String,
        state: Option<String>,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<CreatedGrant, PresenceError> {
        let appid = application_id(&appid)?;
        let call = self.api.grant_with_redirect(appid, &redirect, state.as_deref());
        Ok(runtime::wait(cancel, call).await?.into())
    }

    /// Returns the grants of the user, the oldest first.
    ///
    /// # Errors
    ///
    /// The errors of every call: see `UserApi`.
    #[uniffi::method(default(cancel = None))]
    pub async fn grants(
        &self,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Vec<GrantInfo>, PresenceError> {
        let grants = runtime::wait(cancel, self.api.grants()).await?;
        Ok(grants.into_iter().map(Into::into).collect())
    }

    /// Pauses or resumes a grant. While it is paused, the Application sees the user as offline, and
    /// its notifications wait.
    ///
    /// # Errors
    ///
    /// `Refused` with `UnknownApplication` (40) if there is no such grant.
    #[uniffi::method(default(cancel = None))]
    pub async fn pause(
        &self,
        appid: String,
        paused: bool,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<GrantInfo, PresenceError> {
        Ok(runtime::wait(cancel, self.api.set_paused(application_id(&appid)?, paused))
            .await?
            .into())
    }

    /// Revokes a grant. From the reply on, the Application sees nothing of the user, and its `uid`
    /// for the user is not valid any more.
    ///
    /// # Errors
    ///
    /// `Refused` with `UnknownApplication` (40) if there is no such grant.
    #[uniffi::method(default(cancel = None))]
    pub async fn revoke(
        &self,
        appid: String,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<(), PresenceError> {
        runtime::wait(cancel, self.api.revoke(application_id(&appid)?)).await
    }

    /// Returns the devices that are connected, or are in their grace time after a lost connection.
    ///
    /// # Errors
    ///
    /// The errors of every call: see `UserApi`.
    #[uniffi::method(default(cancel = None))]
    pub async fn devices(
        &self,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Vec<DeviceInfo>, PresenceError> {
        let devices = runtime::wait(cancel, self.api.devices()).await?;
        Ok(devices.into_iter().map(Into::into).collect())
    }

    /// Ends a device: its channel is closed and does not reconnect, and its presence ends at once.
    ///
    /// # Errors
    ///
    /// `Refused` with `NotFound` (47) if no such device is connected.
    #[uniffi::method(default(cancel = None))]
    pub async fn end_device(
        &self,
        device: String,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<(), PresenceError> {
        let device = parse_id(&device, "device")?;
        runtime::wait(cancel, self.api.end_device(&device)).await
    }

    /// Returns all data that the server has stored about the user.
    ///
    /// # Errors
    ///
    /// The errors of every call: see `UserApi`.
    #[uniffi::method(default(cancel = None))]
    pub async fn account(
        &self,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<AccountInfo, PresenceError> {
        Ok(runtime::wait(cancel, self.api.account()).await?.into())
    }

    /// Deletes the user with all grants, pending notifications, sessions and Applications, and
    /// closes all their connections.
    ///
    /// # Errors
    ///
    /// The errors of every call: see `UserApi`.
    #[uniffi::method(default(cancel = None))]
    pub async fn erase_account(
        &self,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<(), PresenceError> {
        runtime::wait(cancel, self.api.erase_account()).await
    }
}
