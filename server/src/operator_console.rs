//! The resources of the operator's pages.

use std::sync::Arc;

use presence_service::operator::OperatorAccess;

use crate::meter::Exporter;
use crate::settings::Settings;
use crate::socket::shared::Sockets;

/// The resources that the operator's pages need besides the service.
pub struct OperatorConsole {
    /// The operator's token and sessions.
    pub(crate) access: OperatorAccess,
    /// The metrics.
    pub(crate) exporter: Exporter,
    /// The open sockets.
    pub(crate) sockets: Arc<Sockets>,
}

impl OperatorConsole {
    /// Returns the console that the settings ask for; `None` if they hold no token digest.
    pub(crate) fn configured(
        settings: &Settings,
        exporter: &Exporter,
        sockets: &Arc<Sockets>,
    ) -> Option<Self> {
        let access = OperatorAccess::new(settings.admin_token_digest()?, settings.admin_session());
        Some(Self { access, exporter: exporter.clone(), sockets: Arc::clone(sockets) })
    }
}
