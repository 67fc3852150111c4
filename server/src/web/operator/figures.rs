//! The status of the server in figures: those of `/metrics`, as JSON for the script of the status
//! page.

use std::collections::BTreeMap;

use presence_core::UnixMillis;
use presence_protocol::Errno;
use presence_service::clock::Stopwatch;
use presence_service::hub::SharingServer;
use serde::Serialize;

use crate::page::PageResponse;
use crate::web::page_routes::PageResult;

use super::exposition::Exposition;
use super::session::OperatorCall;

/// The status of the server at a point in time. Totals count since the start of the server.
#[derive(Serialize)]
struct Figures {
    /// The time, in milliseconds since 1970 UTC.
    at: UnixMillis,
    version: &'static str,
    warming_up: bool,
    draining: bool,
    database: DatabaseFigures,
    /// The servers that share presence, none if this one is alone.
    servers: Vec<ServerFigures>,
    levels: BTreeMap<&'static str, f64>,
    totals: BTreeMap<&'static str, f64>,
    /// The number of errors by their name in the registry.
    errors: BTreeMap<String, f64>,
}

#[derive(Serialize)]
struct DatabaseFigures {
    answers: bool,
    /// The time until the answer.
    milliseconds: u64,
}

/// A server that shares presence.
#[derive(Serialize)]
struct ServerFigures {
    name: String,
    version: String,
    devices: usize,
    app_sockets: usize,
    /// The time since it was last heard of.
    silent_seconds: u64,
    /// `running`, `stopping` or `gone`.
    state: &'static str,
    is_this: bool,
}

impl From<SharingServer> for ServerFigures {
    fn from(server: SharingServer) -> Self {
        let SharingServer { node, is_this } = server;
        Self {
            name: node.name,
            version: node.version,
            devices: node.connections.devices,
            app_sockets: node.connections.app_sockets,
            silent_seconds: node.silent_for.as_secs(),
            state: match (node.dead, node.draining) {
                (true, _) => "gone",
                (false, true) => "stopping",
                (false, false) => "running",
            },
            is_this,
        }
    }
}

/// Returns the figures.
pub(super) async fn figures(OperatorCall(operator): OperatorCall) -> PageResult {
    let service = operator.service();
    let begun = Stopwatch::start();
    let answers = service.ping().await.is_ok();
    let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    // A database that does not answer is not waited for twice.
    let servers = if answers { service.operator().servers().await? } else { Vec::new() };
    let console = operator.console()?;
    let text = console.metrics().await;
    let metrics = Exposition::of(&text);
    let figures = Figures {
        at: service.now(),
        version: env!("CARGO_PKG_VERSION"),
        warming_up: service.is_warming_up(),
        draining: console.is_draining(),
        database: DatabaseFigures { answers, milliseconds },
        servers: servers.into_iter().map(ServerFigures::from).collect(),
        levels: levels(&metrics),
        totals: totals(&metrics),
        errors: metrics.by_label("presence_ko_total", "errno"),
    };
    let json = serde_json::to_string(&figures).map_err(|error| {
        tracing::error!(%error, "figures.failed");
        Errno::Internal
    })?;
    Ok(PageResponse::json(json))
}

fn levels(metrics: &Exposition<'_>) -> BTreeMap<&'static str, f64> {
    let connections = metrics.by_label("presence_connections", "channel");
    let open = |channel: &str| connections.get(channel).copied().unwrap_or_default();
    BTreeMap::from([
        ("device_connections", open("device")),
        ("app_connections", open("app")),
        ("users", metrics.sum("presence_users_present")),
        ("writer_queue", metrics.sum("presence_writer_queue_depth")),
    ])
}

fn totals(metrics: &Exposition<'_>) -> BTreeMap<&'static str, f64> {
    BTreeMap::from([
        ("updates", metrics.sum("presence_updates_total")),
        ("notifications", metrics.sum("presence_notifications_accepted_total")),
        ("deliveries", metrics.sum("presence_deliveries_total")),
        ("received", metrics.sum("presence_frames_received_total")),
        ("sent", metrics.sum("presence_frames_sent_total")),
        ("errors", metrics.sum("presence_ko_total")),
    ])
}
