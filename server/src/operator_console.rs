//! The operator's access control, and the live state that the operator's pages show.

use std::sync::Arc;

use presence_service::operator_access::OperatorAccess;

use crate::meter::MetricsExporter;
use crate::settings::Settings;
use crate::socket::registry::SocketRegistry;

/// The operator's access and live state. Exists only if an operator's token is configured.
pub struct OperatorConsole {
    /// The sign-in of operators and their sessions.
    pub(crate) access: OperatorAccess,
    exporter: MetricsExporter,
    sockets: Arc<SocketRegistry>,
}

impl OperatorConsole {
    /// Returns the console for the token of the settings, or `None` if they hold none.
    pub(crate) fn configured(
        settings: &Settings,
        exporter: &MetricsExporter,
        sockets: &Arc<SocketRegistry>,
    ) -> Option<Self> {
        let digest = settings.admin_token_digest()?;
        let access = sockets.service.operator_access(digest, settings.admin_session());
        Some(Self { access, exporter: exporter.clone(), sockets: Arc::clone(sockets) })
    }

    /// Returns all metrics in the text format of Prometheus.
    pub(crate) async fn metrics(&self) -> String {
        self.exporter.render(&self.sockets.service, self.is_draining()).await
    }

    /// Returns true while the server closes its sockets before it stops.
    pub(crate) fn is_draining(&self) -> bool {
        self.sockets.is_draining()
    }
}
