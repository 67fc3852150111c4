//! How the server is, in figures: those of `/metrics`, for the operator's page to draw.

use std::collections::BTreeMap;
use std::time::Instant;

use poem::http::StatusCode;
use poem::{Request, Response, handler};
use presence_core::UnixMillis;
use serde::Serialize;

use crate::http::ErrorResponse;

use super::exposition::Exposition;
use super::guard::Operator;

/// How the server is at a moment. Totals are since it started.
#[derive(Serialize)]
struct Figures {
    at: UnixMillis,
    version: &'static str,
    warming_up: bool,
    draining: bool,
    database: Database,
    levels: BTreeMap<&'static str, f64>,
    totals: BTreeMap<&'static str, f64>,
    /// Refusals by their name in the registry.
    errors: BTreeMap<String, f64>,
}

#[derive(Serialize)]
struct Database {
    answers: bool,
    /// How long it took to answer.
    milliseconds: u64,
}

#[handler]
pub(super) async fn figures(request: &Request) -> poem::Result<Response> {
    let operator = Operator::of(request)?;
    let presence = operator.service();
    let asked = Instant::now();
    let answers = presence.ping().await.is_ok();
    let milliseconds = u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX);
    let console = operator.console()?;
    let text = console.metrics();
    let counted = Exposition::of(&text);
    let figures = Figures {
        at: presence.now(),
        version: env!("CARGO_PKG_VERSION"),
        warming_up: presence.is_warming_up(),
        draining: console.is_draining(),
        database: Database { answers, milliseconds },
        levels: levels(&counted),
        totals: totals(&counted),
        errors: counted.by_label("presence_ko_total", "errno"),
    };
    let json = serde_json::to_string(&figures).map_err(|error| {
        tracing::error!(%error, "figures.failed");
        ErrorResponse::from(presence_protocol::Errno::Internal)
    })?;
    Ok(Response::builder()
        .status(StatusCode::OK)
        .content_type("application/json; charset=utf-8")
        .body(json))
}

fn levels(counted: &Exposition<'_>) -> BTreeMap<&'static str, f64> {
    let connections = counted.by_label("presence_connections", "channel");
    let open = |channel: &str| connections.get(channel).copied().unwrap_or_default();
    BTreeMap::from([
        ("device_connections", open("device")),
        ("app_connections", open("app")),
        ("users", counted.sum("presence_users_present")),
        ("writer_queue", counted.sum("presence_writer_queue_depth")),
    ])
}

fn totals(counted: &Exposition<'_>) -> BTreeMap<&'static str, f64> {
    BTreeMap::from([
        ("updates", counted.sum("presence_updates_total")),
        ("notifications", counted.sum("presence_notifications_accepted_total")),
        ("deliveries", counted.sum("presence_deliveries_total")),
        ("received", counted.sum("presence_frames_received_total")),
        ("sent", counted.sum("presence_frames_sent_total")),
        ("errors", counted.sum("presence_ko_total")),
    ])
}
