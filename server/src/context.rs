//! The state that all handlers of requests share.

use std::path::PathBuf;
use std::sync::Arc;

use presence_identity::DevIssuer;
use presence_identity::oidc::CodeFlow;
use presence_service::PresenceService;
use url::Url;

use crate::operator_console::OperatorConsole;
use crate::supervisor::Supervisor;
use crate::tls::Tls;

/// The state that all handlers of requests share.
pub struct ServerContext {
    /// The service.
    pub service: Arc<PresenceService>,
    /// The URL by which clients reach this server; its origin is the audience of assertions.
    pub public_url: Url,
    /// The origins of this server's own pages.
    pub own_origins: Vec<String>,
    /// The issuer of development mode.
    pub dev_issuer: Option<DevIssuer>,
    /// The sign-in of browsers by OpenID Connect. `None` if no issuers are configured.
    pub code_flow: Option<CodeFlow>,
    /// The maximum number of bytes of a REST body.
    pub body_limit: usize,
    /// The operator's access and live state. `None` if no operator is configured; the operator's
    /// pages then do not exist.
    pub operator: Option<OperatorConsole>,
    /// The long-lived tasks, which the health check asks.
    pub supervisor: Supervisor,
    /// The source of the certificate. `None` if the server itself does not use TLS.
    pub(crate) tls: Option<Arc<Tls>>,
    /// The file that describes the running build; it may be missing.
    pub version_file: PathBuf,
}

impl ServerContext {
    /// Returns the origin of the server, as browsers write it.
    pub fn origin(&self) -> String {
        self.public_url.origin().ascii_serialization()
    }

    /// Returns true if browsers reach the server over TLS, so that cookies can require it.
    pub fn is_secure(&self) -> bool {
        self.public_url.scheme() == "https"
    }
}
