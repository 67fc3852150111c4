//! The one call that is answered outside of the REST API, since it may have an address of its own.

use serde_json::{Value, json};

/// Adds the metrics to the calls.
pub(super) fn add(document: &mut Value) {
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else { return };
    let text = json!({
        "schema": { "type": "string" },
        "example": "# TYPE presence_updates_total counter\npresence_updates_total 7\n",
    });
    let call = json!({
        "operationId": "get_metrics",
        "summary": "Metrics.",
        "description": "In the text form of Prometheus. Where the operator has given them an address of their own \
                        (`--metrics-listen`), they are there only.",
        "tags": ["Operation"],
        "responses": {
            "200": {
                "description": "What was counted and measured.",
                "content": { "text/plain; version=0.0.4; charset=utf-8": text },
            },
        },
    });
    paths.insert("/metrics".to_owned(), json!({ "get": call }));
}
