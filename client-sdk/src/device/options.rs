//! The options of a device channel.

use std::fmt;
use std::sync::Arc;

use presence_protocol::open::OpenStatus;
use presence_protocol::{AppId, DeviceName, StatusText};

use crate::credential::{Credential, CredentialProvider};
use crate::network_options::NetworkOptions;
use crate::server_url::ServerUrl;
use crate::storage::Storage;
use crate::timing::Timing;

/// The options of a device channel. [`DeviceOptions::new`] sets the defaults.
#[derive(Clone)]
pub struct DeviceOptions {
    /// The server.
    pub server: ServerUrl,
    /// The name of this device. If two devices of one user have the same name, the newer connection
    /// replaces the older one.
    pub device: DeviceName,
    /// The first credential, if the application has one already.
    pub credential: Option<Credential>,
    /// The provider of fresh credentials. Without one, the application gets
    /// [`DeviceEvent::CredentialWanted`](crate::DeviceEvent::CredentialWanted).
    pub credential_provider: Option<Arc<dyn CredentialProvider>>,
    /// The first status; by default online.
    pub status: OpenStatus,
    /// The first status text.
    pub message: Option<StatusText>,
    /// The only Applications that see this device; `None` means all that have a grant of the user.
    pub visibility: Option<Vec<AppId>>,
    /// The place in which the acknowledgements that the server has not confirmed, and the
    /// notifications that the user has seen, are kept over restarts of the application: see
    /// [`mark_shown`](crate::DeviceChannel::mark_shown). By default they are not kept.
    pub storage: Option<Arc<dyn Storage>>,
    /// The time limits.
    pub timing: Timing,
    /// The proxy, the trusted certificates, and the headers of the application.
    pub network: NetworkOptions,
}

impl DeviceOptions {
    /// Returns the options of a device that is online and visible to all Applications with a grant.
    pub fn new(server: ServerUrl, device: DeviceName) -> Self {
        Self {
            server,
            device,
            credential: None,
            credential_provider: None,
            status: OpenStatus::Online,
            message: None,
            visibility: None,
            storage: None,
            timing: Timing::default(),
            network: NetworkOptions::default(),
        }
    }
}

impl fmt::Debug for DeviceOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceOptions")
            .field("server", &self.server)
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}
