//! The operations of the document that the REST API does not serve: the page that Applications link
//! to, and the metrics.

use serde_json::{Value, json};

use crate::http::credential::OPERATOR_TOKEN;
use crate::http::operation_error::{DeclaredErrors, declared_errors, response_keys};

declared_errors! {
    /// The errors of the metrics.
    MetricsErrors: [NotFound];
    /// The errors of the consent page.
    GrantPageErrors: [
        InvalidField,
        SlowDown,
        UnknownApplication,
        ApplicationNotActive,
        RedirectNotAllowed,
        StorageUnavailable,
    ];
}

/// Adds the operations to the document.
pub(super) fn add(document: &mut Value) {
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else { return };
    paths.insert("/metrics".to_owned(), json!({ "get": with_errors::<MetricsErrors>(metrics()) }));
    let grant = paths.get_mut("/grant/{appid}").and_then(Value::as_object_mut);
    if let Some(grant) = grant {
        grant.insert("get".to_owned(), with_errors::<GrantPageErrors>(grant_page()));
    }
}

/// Adds the declared errors to the responses of an operation.
fn with_errors<D: DeclaredErrors>(mut operation: Value) -> Value {
    let responses = operation.get_mut("responses").and_then(Value::as_object_mut);
    if let Some(responses) = responses {
        responses.extend(response_keys::<D>().map(|key| (key, json!({}))));
    }
    operation
}

fn metrics() -> Value {
    json!({
        "operationId": "get_metrics",
        "summary": "Metrics.",
        "description": "In the text format of Prometheus, for the operator's token only: for all others, and without \
                        a configured operator, the path does not exist. If the operator has configured a separate \
                        address for metrics (`--metrics-listen`), they need no credential at that address.",
        "tags": ["Operation"],
        "security": [{ OPERATOR_TOKEN: [] }],
        "responses": {
            "200": {
                "description": "The metrics.",
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
    let text = |name: &str, description: &str, pattern: &str, max_length: Option<u64>| {
        let mut schema = json!({ "type": "string", "pattern": pattern });
        if let (Some(max_length), Some(schema)) = (max_length, schema.as_object_mut()) {
            schema.insert("maxLength".to_owned(), max_length.into());
        }
        json!({ "name": name, "in": "query", "description": description, "schema": schema })
    };
    let id = json!({ "type": "string", "pattern": "^[0-9a-f]{32}$", "example": "8f14e45fceea167a5a36dedd4bea2543" });
    json!({
        "operationId": "show_grant_page",
        "summary": "Ask a user to let an Application see their presence.",
        "description": "A page for people: an Application sends its user here. A user who is not signed in signs in first, and then \
                        returns to this page. The page sends the decision to `POST /grant/<appid>`, and the user goes to the redirect.",
        "tags": ["Grants"],
        "parameters": [
            { "name": "appid", "in": "path", "required": true, "schema": id },
            text("redirect", "A page on the Application's verified domain.", "^[^\\x00-\\x1f\\x7f-\\x9f]*$", None),
            text("state", "A value that the Application gets back unchanged. It should belong to the browser's session with the Application.", "^[^\\x00-\\x1f\\x7f-\\x9f]*$", None),
            text("id", "The Application's own name for the user, shown so that the user recognises the account.", "^([^\\x00-\\x1f\\x7f-\\x9f\\xad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\u{13430}-\u{1343f}\u{13441}\u{13442}\u{16fe4}\u{1bca0}-\u{1bca3}\u{1d159}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]*[^\\x00-\\x1f\\x7f-\\x9f\\xad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\u{13430}-\u{1343f}\u{13441}\u{13442}\u{16fe4}\u{1bca0}-\u{1bca3}\u{1d159}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}])?$", Some(200)),
        ],
        "responses": {
            "200": {
                "description": "The page.",
                "content": { "text/html; charset=utf-8": { "schema": { "type": "string" } } },
            },
            "303": {
                "description": "The user has to sign in.",
                "headers": {
                    "Location": {
                        "description": "The sign-in page, which leads back to this page.",
                        "required": true,
                        "schema": { "type": "string" },
                    },
                },
            },
        },
    })
}
