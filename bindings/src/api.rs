//! The REST API: what phones and back ends need beside the channels.

mod app_service;
mod application;
mod user;

use std::sync::Arc;

use presence_client::{Scope, ServerUrl};

use crate::cancel::CancelToken;
use crate::error::PresenceError;
use crate::live::Live;
use crate::presence::{id, milliseconds};
use crate::runtime;
use crate::secret::Secret;
use crate::state::{ChannelTiming, timing, tls};

pub use app_service::{AppServiceApi, PresencePage};
pub use application::{
    Activated, ApplicationChange, ApplicationInfo, ApplicationState, KeyInfo, NewApplication,
    NewKey,
};
pub use user::{
    AccountInfo, DeviceInfo, GrantInfo, Granted, SessionInfo, UserApi, WaitingNotification,
};

/// What a session may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum SessionScope {
    /// The device channel, and reading: for phones.
    Device,
    /// Everything: grants, devices, Applications, and erasing the account.
    Account,
    /// Something newer than this library. Nobody can sign in with it.
    Unknown,
}

impl From<Scope> for SessionScope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Device => Self::Device,
            Scope::Account => Self::Account,
            Scope::Unknown | _ => Self::Unknown,
        }
    }
}

impl From<SessionScope> for Scope {
    fn from(scope: SessionScope) -> Self {
        match scope {
            SessionScope::Device => Self::Device,
            SessionScope::Account => Self::Account,
            SessionScope::Unknown => Self::Unknown,
        }
    }
}

/// A session that was opened.
#[derive(Clone, uniffi::Record)]
pub struct SignedIn {
    /// The bearer token, for `PresenceApi.user` and as the credential of a channel.
    pub token: Arc<Secret>,
    /// The verified e-mail.
    pub email: String,
    /// What the session may do.
    pub scope: SessionScope,
    /// When it ends: milliseconds since 1970 UTC.
    pub expires_at_ms: i64,
}

impl From<presence_client::CreatedSession> for SignedIn {
    fn from(session: presence_client::CreatedSession) -> Self {
        Self {
            token: Secret::of(session.token),
            email: session.email,
            scope: session.scope.into(),
            expires_at_ms: milliseconds(session.expires_at),
        }
    }
}

/// The REST API of a server.
///
/// Every call has a time limit. A call that was cancelled was made, or not.
#[derive(Debug, uniffi::Object)]
pub struct PresenceApi {
    api: presence_client::PresenceApi,
    _live: Live,
}

#[uniffi::export]
impl PresenceApi {
    /// The API of a server. Of the times, `connect_timeout` and `request_timeout` count here; the certificates are those of
    /// further authorities to trust, each in DER.
    ///
    /// # Errors
    ///
    /// `InvalidArgument`.
    #[uniffi::constructor(default(times = None, root_certificates = []))]
    pub fn new(
        server: String,
        times: Option<ChannelTiming>,
        root_certificates: Vec<Vec<u8>>,
    ) -> Result<Arc<Self>, PresenceError> {
        let server: ServerUrl = server.parse()?;
        let api = presence_client::PresenceApi::with_tls(server, &tls(root_certificates))?;
        let api = api.with_timing(&timing(times)?);
        Ok(Arc::new(Self { api, _live: Live::new() }))
    }

    /// Where the server is.
    pub fn server(&self) -> String {
        self.api.server().to_string()
    }

    /// The calls of a user, with the token of `sign_in`.
    pub fn user(&self, token: Arc<Secret>) -> Arc<UserApi> {
        UserApi::of(self.api.user(token.text()))
    }

    /// The calls of an application's back end, with an API key.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` where the Application is no id.
    pub fn app_service(
        &self,
        application: String,
        api_key: Arc<Secret>,
    ) -> Result<Arc<AppServiceApi>, PresenceError> {
        let application = id(&application, "the Application")?;
        Ok(AppServiceApi::of(self.api.app_service(application, api_key.text())))
    }

    /// Opens a session with an identity assertion that was made for this server. An assertion opens one session only.
    ///
    /// # Errors
    ///
    /// `Refused` with `InvalidAssertion` (34), and with `IdentityUnavailable` (31) where waiting helps.
    #[uniffi::method(default(cancel = None))]
    pub async fn sign_in(
        &self,
        assertion: Arc<Secret>,
        scope: SessionScope,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<SignedIn, PresenceError> {
        let call = self.api.sign_in(assertion.text(), scope.into());
        Ok(runtime::wait(cancel, call).await?.into())
    }

    /// Makes an identity assertion for anybody `@dev.localhost`. Only servers in development mode do this.
    ///
    /// # Errors
    ///
    /// `Refused` with `NotFound` (47) where the server is not in development mode, and with `InvalidField` (12) for any other
    /// e-mail.
    #[uniffi::method(default(cancel = None))]
    pub async fn dev_assertion(
        &self,
        email: String,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Arc<Secret>, PresenceError> {
        Ok(Secret::of(runtime::wait(cancel, self.api.dev_assertion(&email)).await?))
    }
}
