//! The generated files are up to date. `UPDATE=1 cargo test -p presence-server` writes them again.

use std::path::Path;

use serde_json::{Value, json};

use crate::http::{document, errors_markdown};

#[test]
fn the_openapi_file_is_up_to_date() {
    check("presence.json", &document());
}

#[test]
fn the_errors_page_is_up_to_date() {
    check("errors.md", &errors_markdown());
}

#[test]
fn the_document_lists_the_credentials_of_each_operation() {
    let document: Value = serde_json::from_str(&document()).unwrap();
    let security_of =
        |path: &str, method: &str| document["paths"][path][method]["security"].clone();
    assert_eq!(security_of("/session", "post"), json!([]));
    assert_eq!(security_of("/apps", "get"), json!([{ "session": [] }, { "session_cookie": [] }]));
    let with_token = json!([{ "session": [] }, { "session_cookie": [], "csrf_token": [] }]);
    assert_eq!(security_of("/apps", "post"), with_token);
    assert_eq!(security_of("/apps/{appid}/presence", "get"), json!([{ "api_key": [] }]));
}

#[test]
fn the_document_marks_the_fields_that_may_be_null() {
    let document: Value = serde_json::from_str(&document()).unwrap();
    let field = |schema: &str, name: &str| {
        document["components"]["schemas"][schema]["properties"][name].clone()
    };
    assert_eq!(field("SignIn", "email")["nullable"], true);
    assert_eq!(field("SignIn", "assertion")["nullable"], Value::Null);
    let scope = &field("SignIn", "scope")["anyOf"];
    assert_eq!(scope[0]["$ref"], "#/components/schemas/Scope");
    assert_eq!(scope[1]["enum"], json!([null]));
    assert_eq!(field("NotifyItem", "ttl")["nullable"], true);
    assert_eq!(field("GrantForm", "state")["nullable"], Value::Null);
    assert_eq!(field("Session", "csrf_token")["nullable"], Value::Null);
}

#[expect(
    clippy::disallowed_methods,
    reason = "an environment variable of the developer selects the update"
)]
fn check(name: &str, generated: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi").join(name);
    if std::env::var("UPDATE").is_ok_and(|value| value == "1") {
        std::fs::write(&path, generated).unwrap();
        return;
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == generated,
        "openapi/{name} is stale: run UPDATE=1 cargo test -p presence-server"
    );
}
