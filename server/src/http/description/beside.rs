//! The calls that are answered outside of the REST API and belong to it all the same: a page that Applications link to, and the
//! metrics.

use serde_json::{Value, json};

/// Adds them to the calls.
pub(super) fn add(document: &mut Value) {
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else { return };
    paths.insert("/metrics".to_owned(), json!({ "get": metrics() }));
    let grant = paths.get_mut("/grant/{appid}").and_then(Value::as_object_mut);
    if let Some(grant) = grant {
        grant.insert("get".to_owned(), grant_page());
    }
}

fn metrics() -> Value {
    json!({
        "operationId": "get_metrics",
        "summary": "Metrics.",
        "description": "In the text form of Prometheus. Where the operator has given them an address of their own \
                        (`--metrics-listen`), they are there only.",
        "tags": ["Operation"],
        "responses": {
            "200": {
                "description": "What was counted and measured.",
                "content": {
                    "text/plain; version=0.0.4; charset=utf-8": {
                        "schema": { "type": "string" },
                        "example": "# TYPE presence_updates_total counter\npresence_updates_total 7\n",
                    },
                },
            },
        },
    })
}

fn grant_page() -> Value {
    let text = |name: &str, description: &str, pattern: &str, longest: Option<u64>| {
        let mut schema = json!({ "type": "string", "pattern": pattern });
        if let (Some(longest), Some(schema)) = (longest, schema.as_object_mut()) {
            schema.insert("maxLength".to_owned(), longest.into());
        }
        json!({ "name": name, "in": "query", "description": description, "schema": schema })
    };
    let id = json!({ "type": "string", "pattern": "^[0-9a-f]{32}$", "example": "8f14e45fceea167a5a36dedd4bea2543" });
    json!({
        "operationId": "show_grant_page",
        "summary": "Ask a person to let an Application see them.",
        "description": "A page for people: an Application sends its user here. Who is not signed in signs in first, and comes back. The \
                        answer goes to `POST /grant/<appid>`, and the user to the redirect.",
        "tags": ["Grants"],
        "parameters": [
            { "name": "appid", "in": "path", "required": true, "schema": id },
            text("redirect", "A page on the Application's verified domain.", "^[^\\x00-\\x1f\\x7f-\\x9f]*$", None),
            text("state", "What the Application wants to get back untouched. It should bind the answer to the browser that asked.", "^[^\\x00-\\x1f\\x7f-\\x9f]*$", None),
            text("id", "What the Application calls its user, for the user to recognise.", "^[^\\x00-\\x09\\x0b-\\x1f\\x7f-\\x9f\\u2028-\\u202e\\u2066-\\u2069]*$", Some(200)),
        ],
        "responses": {
            "200": {
                "description": "The page.",
                "content": { "text/html; charset=utf-8": { "schema": { "type": "string" } } },
            },
            "303": {
                "description": "Somebody has to sign in.",
                "headers": {
                    "Location": {
                        "description": "The page to sign in, which leads back.",
                        "required": true,
                        "schema": { "type": "string" },
                    },
                },
            },
        },
    })
}
