//! The entry to the REST API: the calls without a session, and the other parts of the API.

use std::fmt;

use presence_protocol::AppId;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::app_service::AppServiceApi;
use super::call::RestCall;
use super::http_client::HttpClient;
use super::secret::secret;
use super::session::{CreatedSession, Scope};
use super::user::UserApi;
use crate::error::Error;
use crate::net::Connector;
use crate::network_options::NetworkOptions;
use crate::server_url::ServerUrl;
use crate::timing::Timing;

/// The REST API of a server. Clones share their connections.
///
/// Every call has a time limit. If the future of a call is dropped, the server may or may not have
/// carried out the call. A call is sent again only if it is idempotent and a connection that was
/// kept from an earlier call turns out to be closed.
#[derive(Clone)]
pub struct PresenceApi {
    connector: Connector,
    http: HttpClient,
}

impl PresenceApi {
    /// Returns the API of a server, with [`NetworkOptions::default`] and [`Timing::default`].
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] if TLS cannot be used.
    pub fn new(server: ServerUrl) -> Result<Self, Error> {
        Self::with_network(server, &NetworkOptions::default())
    }

    /// Returns the API of a server, with these options of the connections.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] if an option is not valid.
    pub fn with_network(server: ServerUrl, network: &NetworkOptions) -> Result<Self, Error> {
        let connector = Connector::new(network)?;
        let http = HttpClient::new(server, connector.clone(), &Timing::default());
        Ok(Self { connector, http })
    }

    /// Sets the time limits. Of a [`Timing`], only `connect_timeout` and `request_timeout` apply.
    #[must_use]
    pub fn with_timing(self, timing: &Timing) -> Self {
        let http = HttpClient::new(self.server().clone(), self.connector.clone(), timing);
        Self { http, ..self }
    }

    /// Returns the URL of the server.
    pub fn server(&self) -> &ServerUrl {
        self.http.server()
    }

    /// Returns the calls of a user, with a token from [`PresenceApi::sign_in`].
    pub fn user(&self, token: SecretString) -> UserApi {
        UserApi::new(self.http.clone(), token)
    }

    /// Returns the calls of an AppService, with an API key.
    pub fn app_service(&self, application: AppId, key: SecretString) -> AppServiceApi {
        AppServiceApi::new(self.http.clone(), application, key)
    }

    /// Opens a session with an identity assertion for this server. An assertion opens one session
    /// only.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `invalid_assertion` (34), or with `identity_unavailable` (31), which
    /// is temporary.
    pub async fn sign_in(
        &self,
        assertion: SecretString,
        scope: Scope,
    ) -> Result<CreatedSession, Error> {
        #[derive(Serialize)]
        struct SignInBody<'a> {
            assertion: &'a str,
            scope: Scope,
        }
        if scope == Scope::Unknown {
            return Err(Error::InvalidArgument(
                "a session cannot be opened with an unknown scope".to_owned(),
            ));
        }
        let body = SignInBody { assertion: assertion.expose_secret(), scope };
        self.http.call(RestCall::post("/session").json(&body)).await
    }

    /// Makes an identity assertion for an e-mail address at `@dev.localhost`. Only servers in
    /// development mode have this call.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `not_found` (47) if the server is not in development mode, and with
    /// `invalid_field` (12) for any other e-mail address.
    pub async fn dev_assertion(&self, email: &str) -> Result<SecretString, Error> {
        #[derive(Serialize)]
        struct DevAssertionBody<'a> {
            email: &'a str,
        }
        #[derive(Deserialize)]
        struct DevAssertionReply {
            #[serde(deserialize_with = "secret")]
            assertion: SecretString,
        }
        let call = RestCall::post("/dev/assertion").json(&DevAssertionBody { email }).idempotent();
        Ok(self.http.call::<DevAssertionReply>(call).await?.assertion)
    }
}

impl fmt::Debug for PresenceApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresenceApi").field("server", self.server()).finish_non_exhaustive()
    }
}
