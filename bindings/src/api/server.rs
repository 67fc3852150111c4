//! The REST API of one server: signing in, and the access to the calls of users and back ends.

use std::sync::Arc;

use presence_client::ServerUrl;

use super::app_service::AppServiceApi;
use super::session::{CreatedSession, SessionScope};
use super::user::UserApi;
use crate::cancel::CancelToken;
use crate::error::PresenceError;
use crate::network::NetworkOptions;
use crate::object_count::CountedObject;
use crate::presence::parse_id;
use crate::runtime;
use crate::secret::Secret;
use crate::state::{self, ChannelTiming};

/// The REST API of a server.
///
/// Every call has a time limit. The server may or may not have carried out a call that was
/// cancelled.
#[derive(Debug, uniffi::Object)]
pub struct PresenceApi {
    api: presence_client::PresenceApi,
    _counted: CountedObject,
}

#[uniffi::export]
impl PresenceApi {
    /// Creates the API of a server. Of the time limits, only `connect_timeout` and
    /// `request_timeout` are used.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if an argument is invalid.
    #[uniffi::constructor(default(timing = None, network))]
    pub fn new(
        server: String,
        timing: Option<ChannelTiming>,
        network: NetworkOptions,
    ) -> Result<Arc<Self>, PresenceError> {
        let server: ServerUrl = server.parse()?;
        let api = presence_client::PresenceApi::with_network(server, &network.into())?;
        let api = api.with_timing(&state::to_timing(timing)?);
        Ok(Arc::new(Self { api, _counted: CountedObject::new() }))
    }

    /// Returns the URL of the server.
    pub fn server(&self) -> String {
        self.api.server().to_string()
    }

    /// Returns the calls of a user. `token` is the token of a session from `sign_in`.
    pub fn user(&self, token: Arc<Secret>) -> Arc<UserApi> {
        UserApi::from_sdk(self.api.user(token.text()))
    }

    /// Returns the calls of the back end of an Application.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if `application` is not a valid id.
    pub fn app_service(
        &self,
        application: String,
        api_key: Arc<Secret>,
    ) -> Result<Arc<AppServiceApi>, PresenceError> {
        let application = parse_id(&application, "application")?;
        Ok(AppServiceApi::from_sdk(self.api.app_service(application, api_key.text())))
    }

    /// Creates a session with an identity assertion for this server. An assertion can be used for
    /// one session only.
    ///
    /// # Errors
    ///
    /// `Refused` with `InvalidAssertion` (34), or with `IdentityUnavailable` (31), after which a
    /// later call may succeed.
    #[uniffi::method(default(cancel = None))]
    pub async fn sign_in(
        &self,
        assertion: Arc<Secret>,
        scope: SessionScope,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<CreatedSession, PresenceError> {
        let call = self.api.sign_in(assertion.text(), scope.into());
        Ok(runtime::wait(cancel, call).await?.into())
    }

    /// Creates an identity assertion for any address `@dev.localhost`. Only a server in development
    /// mode does this.
    ///
    /// # Errors
    ///
    /// `Refused` with `NotFound` (47) if the server is not in development mode, and with
    /// `InvalidField` (12) for any other address.
    #[uniffi::method(default(cancel = None))]
    pub async fn dev_assertion(
        &self,
        email: String,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Arc<Secret>, PresenceError> {
        let assertion = runtime::wait(cancel, self.api.dev_assertion(&email)).await?;
        Ok(Secret::from_secret(assertion))
    }
}
