//! What every handler may use.

use std::path::PathBuf;
use std::sync::Arc;

use presence_identity::DevIssuer;
use presence_identity::oidc::CodeFlow;
use presence_service::PresenceService;
use url::Url;

use crate::operator_console::OperatorConsole;

/// What every handler may use.
pub struct ServerContext {
    /// The service.
    pub service: Arc<PresenceService>,
    /// Where this server is reached from outside; its origin is the audience of assertions.
    pub public_url: Url,
    /// The origins whose pages are this server's own.
    pub own_origins: Vec<String>,
    /// The issuer of development mode.
    pub dev_issuer: Option<DevIssuer>,
    /// Signs browsers in by OpenID Connect, where there are issuers; [`CodeFlow::providers`] tells which.
    pub code_flow: Option<CodeFlow>,
    /// The most bytes of a REST body.
    pub body_limit: usize,
    /// What the operator's pages need; without it they are not there.
    pub operator: Option<OperatorConsole>,
    /// The file that says what runs, where there is one.
    pub version_file: PathBuf,
}

impl ServerContext {
    /// The origin of the server, as browsers write it.
    pub fn origin(&self) -> String {
        self.public_url.origin().ascii_serialization()
    }

    /// Whether browsers reach the server over TLS, so that cookies can be kept to it.
    pub fn is_secure(&self) -> bool {
        self.public_url.scheme() == "https"
    }
}
