//! The REST API: what phones and back ends need beside the channels.
//!
//! [`call`] is one call as it is made, [`connection`] and [`http`] are how it travels, [`answer`] is how what comes back is read; the
//! rest is one module for each part of the API.

mod answer;
mod app_service;
mod application;
mod call;
mod connection;
mod http;
mod session;
mod user;

use std::fmt;

use presence_protocol::AppId;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use crate::error::Error;
use crate::net::Connector;
use crate::server_url::ServerUrl;
use crate::timing::Timing;
use crate::tls::Tls;

use self::http::Http;

pub use self::app_service::{AppServiceApi, PresencePage};
pub use self::application::{
    ActivationResult, ApiKeyInfo, Application, ApplicationChange, ApplicationState, CreatedApiKey,
    NewApplication,
};
pub use self::session::{CreatedSession, Scope, Session};
pub use self::user::{Account, CreatedGrant, Device, Grant, PendingNotification, UserApi};

/// The REST API of a server. Clones share their connections.
///
/// Every call has a time limit, and may be dropped before it is done: then it was made, or not. No call is made again by itself,
/// but for one that may be made twice, where a connection that was kept from an earlier call turns out to be dead.
#[derive(Clone)]
pub struct PresenceApi {
    connector: Connector,
    http: Http,
}

impl PresenceApi {
    /// The API of a server, over TLS that trusts whom [`Tls::default`] trusts, with the times of [`Timing::default`].
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] where TLS cannot be used as it is configured.
    pub fn new(server: ServerUrl) -> Result<Self, Error> {
        Self::with_tls(server, &Tls::default())
    }

    /// The same over a TLS of one's own choice.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] where TLS cannot be used as it is configured.
    pub fn with_tls(server: ServerUrl, tls: &Tls) -> Result<Self, Error> {
        let connector = Connector::new(tls)?;
        let http = Http::new(server, connector.clone(), &Timing::default());
        Ok(Self { connector, http })
    }

    /// The same with other times: of a [`Timing`], `connect_timeout` and `request_timeout` count here.
    #[must_use]
    pub fn with_timing(self, timing: &Timing) -> Self {
        let http = Http::new(self.server().clone(), self.connector.clone(), timing);
        Self { http, ..self }
    }

    /// Where the server is.
    pub fn server(&self) -> &ServerUrl {
        self.http.server()
    }

    /// The calls of a user, with the token of [`PresenceApi::sign_in`].
    pub fn user(&self, token: SecretString) -> UserApi {
        UserApi::new(self.http.clone(), token)
    }

    /// The calls of an application's back end, with an API key.
    pub fn app_service(&self, application: AppId, key: SecretString) -> AppServiceApi {
        AppServiceApi::new(self.http.clone(), application, key)
    }
}

impl fmt::Debug for PresenceApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresenceApi").field("server", self.server()).finish_non_exhaustive()
    }
}

/// Reads a secret from an answer.
fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

/// Reads a secret that may be absent.
fn optional_secret<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SecretString>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.map(SecretString::from))
}
