//! The long-lived tasks that run beside the sockets, until the server stops.

use std::sync::Arc;

use presence_identity::oidc::Oidc;
use presence_service::PresenceService;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::meter::MetricsExporter;
use crate::oidc;
use crate::supervisor::Supervisor;
use crate::tls::{Tls, files};

/// Starts the periodic maintenance of the service and of the metrics.
pub(super) fn spawn_maintenance(
    supervisor: &Supervisor,
    stop: &CancellationToken,
    service: &Arc<PresenceService>,
    exporter: &MetricsExporter,
) {
    let (hub, stopped) = (Arc::clone(service), stop.clone());
    let run = async move { hub.run_hub_maintenance(stopped).await };
    supervisor.spawn_required("grace_times", run);
    let (database, stopped) = (Arc::clone(service), stop.clone());
    let run = async move { database.run_database_maintenance(stopped).await };
    supervisor.spawn_required("maintenance", run);
    let (settlements, stopped) = (Arc::clone(service), stop.clone());
    let run = async move { settlements.run_settlement_writes(stopped).await };
    supervisor.spawn_required("settlements", run);
    let (exporter, stop) = (exporter.clone(), stop.clone());
    supervisor.spawn_restarted("metrics", move || {
        let (exporter, stop) = (exporter.clone(), stop.clone());
        async move { exporter.run_upkeep(stop).await }
    });
}

/// Starts the task that keeps the documents of OpenID Connect issuers fresh, if there are any.
pub(super) fn spawn_issuer_refresh(
    supervisor: &Supervisor,
    stop: &CancellationToken,
    (service, oidc): (&Arc<PresenceService>, Option<Oidc>),
) {
    let Some(oidc) = oidc else { return };
    let (service, stop) = (Arc::clone(service), stop.clone());
    supervisor.spawn_restarted("issuers", move || {
        oidc::refresh_documents(oidc.clone(), Arc::clone(&service), stop.clone())
    });
}

/// Starts the task that looks after the certificate, also at SIGHUP. Without TLS, there is nothing
/// to do. `hang_ups` also has the signals that came earlier.
pub(super) fn spawn_reload(
    supervisor: &Supervisor,
    stop: &CancellationToken,
    tls: Option<Arc<Tls>>,
    hang_ups: Signal,
) {
    let stop = stop.clone();
    let mut first = Some(hang_ups);
    supervisor.spawn_restarted("reload", move || {
        let (tls, stop) = (tls.clone(), stop.clone());
        let first = first.take();
        async move {
            let requests = match first.map_or_else(|| signal(SignalKind::hangup()), Ok) {
                Ok(requests) => requests,
                Err(error) => return tracing::error!(%error, "SIGHUP cannot be received"),
            };
            match tls {
                Some(tls) => tls.maintain(requests, stop).await,
                None => files::refuse_reloads(requests, stop).await,
            }
        }
    });
}
