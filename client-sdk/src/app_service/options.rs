//! The options of the channel of an AppService.

use std::fmt;

use presence_protocol::AppId;
use secrecy::SecretString;

use crate::network_options::NetworkOptions;
use crate::server_url::ServerUrl;
use crate::timing::Timing;

/// The options of the channel of an AppService. [`AppServiceOptions::new`] sets the defaults.
#[derive(Clone)]
pub struct AppServiceOptions {
    /// The server.
    pub server: ServerUrl,
    /// The Application.
    pub application: AppId,
    /// An API key of the Application.
    pub api_key: SecretString,
    /// The cursor at which an earlier channel of this Application stopped. The server replays
    /// what has happened since, for up to an hour.
    pub cursor: Option<String>,
    /// Set if the channel is to deliver receipts.
    pub receipts: bool,
    /// The time limits.
    pub timing: Timing,
    /// The proxy, the trusted certificates, and the headers of the application.
    pub network: NetworkOptions,
}

impl AppServiceOptions {
    /// Returns the options of a channel that begins with a snapshot and delivers no receipts.
    pub fn new(server: ServerUrl, application: AppId, api_key: SecretString) -> Self {
        let (timing, network) = (Timing::default(), NetworkOptions::default());
        Self { server, application, api_key, cursor: None, receipts: false, timing, network }
    }
}

impl fmt::Debug for AppServiceOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppServiceOptions")
            .field("server", &self.server)
            .field("application", &self.application)
            .finish_non_exhaustive()
    }
}
