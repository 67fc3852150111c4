//! The files made from the code say what the code says. `UPDATE=1 cargo test -p presence-server` writes them again.

use std::collections::BTreeSet;
use std::path::Path;

use presence_protocol::{CloseCode, Errno};
use serde_json::{Value, json};

use crate::http::pages::ASYNCAPI;
use crate::http::{document, errors_page};

#[test]
fn the_openapi_file_is_the_document() {
    check("presence.json", &document());
}

#[test]
fn the_errors_page_is_the_registries() {
    check("errors.md", &errors_page());
}

#[test]
fn every_call_is_described() {
    let document: Value = serde_json::from_str(&document()).unwrap();
    let mut ids = BTreeSet::new();
    for (path, calls) in document["paths"].as_object().unwrap() {
        for (method, call) in calls.as_object().unwrap() {
            let name = format!("{method} {path}");
            let id = call["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{name}");
            assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            assert!(call["summary"].is_string() && call["tags"].is_array(), "{name}");
            let answers = call["responses"].as_object().unwrap();
            assert!(answers.values().all(|answer| answer["description"] != ""), "{name}");
            assert!(answers["405"]["headers"]["Allow"].is_object(), "{name}");
            assert!(call["security"].is_array(), "{name}");
            assert!(answers["500"]["description"].as_str().unwrap().contains("50 `internal`"));
            let schema = answers["500"].pointer("/content/application~1json/schema/$ref").unwrap();
            assert_eq!(schema, "#/components/schemas/Ko", "{name}");
        }
    }
    assert!(document["components"]["schemas"]["Ko"]["properties"]["errno"].is_object());
}

#[test]
fn the_document_says_which_credentials_a_call_takes() {
    let document: Value = serde_json::from_str(&document()).unwrap();
    let wanted = |path: &str, method: &str| document["paths"][path][method]["security"].clone();
    assert_eq!(wanted("/session", "post"), json!([]));
    assert_eq!(wanted("/apps", "get"), json!([{ "session": [] }, { "session_cookie": [] }]));
    let with_token = json!([{ "session": [] }, { "session_cookie": [], "csrf_token": [] }]);
    assert_eq!(wanted("/apps", "post"), with_token);
    assert_eq!(wanted("/apps/{appid}/presence", "get"), json!([{ "api_key": [] }]));
}

#[test]
fn the_document_says_which_fields_may_be_null() {
    let document: Value = serde_json::from_str(&document()).unwrap();
    let field = |schema: &str, name: &str| {
        document["components"]["schemas"][schema]["properties"][name].clone()
    };
    assert_eq!(field("SignIn", "email")["nullable"], true);
    assert_eq!(field("SignIn", "assertion")["nullable"], Value::Null);
    assert_eq!(field("SignIn", "scope")["enum"], json!(["device", "account", null]));
    assert_eq!(field("NotifyItem", "ttl")["nullable"], true);
    assert_eq!(field("GrantForm", "state")["nullable"], Value::Null);
    assert_eq!(field("Session", "csrf_token")["nullable"], Value::Null);
}

#[test]
fn the_document_of_the_channels_names_all_errors_and_close_codes() {
    for errno in Errno::ALL {
        let entry = format!("| {} | {} |", errno.number(), errno.name());
        assert!(ASYNCAPI.contains(&entry), "{entry}");
    }
    for code in CloseCode::ALL {
        let entry = format!("| {} | {} |", code.number(), code.reason());
        assert!(ASYNCAPI.contains(&entry), "{entry}");
    }
}

#[expect(clippy::disallowed_methods, reason = "whether to write the file is the developer's wish")]
fn check(name: &str, said: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi").join(name);
    if std::env::var("UPDATE").is_ok_and(|wish| wish == "1") {
        std::fs::write(&path, said).unwrap();
        return;
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == said, "openapi/{name} is stale: run UPDATE=1 cargo test -p presence-server");
}
