//! An example of every body. Those of our own objects are made from the types that are sent, so that they cannot be stale.

use std::collections::BTreeMap;

use presence_protocol::{ApiError, Errno};
use serde_json::{Value, json};

/// Puts an example beside every schema of a request and of an answer that has none yet.
pub(super) fn give(document: &mut Value) {
    let of_schemas = of_schemas(document);
    for (_, calls) in super::members(document.get_mut("paths")) {
        for (_, call) in super::members(Some(calls)) {
            let operation = super::operation_id(call).to_owned();
            let request = call.pointer_mut("/requestBody/content");
            give_to(request, |schema| of_schemas.get(schema).cloned());
            for (status, answer) in super::members(call.get_mut("responses")) {
                let other = otherwise(&operation, status);
                give_to(answer.get_mut("content"), |schema| {
                    let mut example = of_schemas.get(schema).cloned()?;
                    patch(&mut example, &other);
                    Some(example)
                });
            }
        }
    }
    let ko = document.pointer_mut("/components/schemas/ApiError").and_then(Value::as_object_mut);
    if let Some(ko) = ko {
        ko.insert("example".to_owned(), of_refusal(Errno::SlowDown));
    }
}

/// The examples of refusals, by their names.
pub(super) fn of_refusals(errnos: &[Errno]) -> Value {
    let example = |errno: &Errno| {
        let summary = format!("{}: {}", errno.number(), errno.meaning().trim());
        (errno.name().to_owned(), json!({ "summary": summary, "value": of_refusal(*errno) }))
    };
    Value::Object(errnos.iter().map(example).collect())
}

/// As the server says it: with the time to wait where it knows one.
fn of_refusal(errno: Errno) -> Value {
    let wait = [
        (Errno::SlowDown, 0.25),
        (Errno::TooManyConnections, 0.25),
        (Errno::IdentityUnavailable, 5.0),
        (Errno::StorageUnavailable, 1.0),
        (Errno::ShuttingDown, 1.0),
    ];
    let wait = wait.into_iter().find(|(known, _)| *known == errno);
    let ko = wait.map_or(errno.into(), |(errno, seconds)| ApiError::from(errno).after(seconds));
    serde_json::from_str(&ko.to_json(None)).unwrap_or_default()
}

/// The example of each schema that has one, by how it is referred to.
fn of_schemas(document: &Value) -> BTreeMap<String, Value> {
    let schemas = document.pointer("/components/schemas").and_then(Value::as_object);
    let example = |(name, schema): (&String, &Value)| {
        Some((format!("#/components/schemas/{name}"), schema.get("example")?.clone()))
    };
    schemas.into_iter().flatten().filter_map(example).collect()
}

fn give_to(content: Option<&mut Value>, of_schema: impl Fn(&str) -> Option<Value>) {
    for (media_type, body) in super::members(content) {
        let known = |path| of_schema(body.pointer(path)?.as_str()?);
        let (one, either) = (known("/schema/$ref"), known("/schema/oneOf/0/$ref"));
        let Some(body) = body.as_object_mut() else { continue };
        match body.get_mut("examples").and_then(Value::as_object_mut) {
            Some(refusals) => {
                // An answer that says something else, or refuses.
                refusals.extend(
                    either.map(|value| ("otherwise".to_owned(), json!({ "value": value }))),
                );
            }
            None => {
                body.entry("example").or_insert_with(|| one.unwrap_or_else(|| of_text(media_type)));
            }
        }
    }
}

/// What is no object of ours.
fn of_text(media_type: &str) -> Value {
    match media_type.split(';').next().unwrap_or_default() {
        "application/json" => json!({ "openapi": "3.0.0", "info": { "title": "Presence" } }),
        "application/yaml" => {
            json!({ "asyncapi": "3.1.0", "info": { "title": "Presence channels" } })
        }
        "text/html" => "<!doctype html>…".into(),
        _ => "…".into(),
    }
}

/// What is otherwise in an answer of this call than in the example of its schema; `null` is left out.
fn otherwise(operation: &str, status: &str) -> Value {
    match (operation, status) {
        ("register_application", _) => json!({ "state": "registered" }),
        ("verify_application", _) => json!({ "state": "verified" }),
        ("deactivate_application", _) => json!({ "state": "inactive", "api_key": null }),
        ("change_application", _) => json!({ "name": "Chess by Post" }),
        ("pause_grant", _) => json!({ "paused": true }),
        ("heartbeat", "503") => json!({ "status": "error", "database": "error" }),
        _ => json!({}),
    }
}

fn patch(example: &mut Value, other: &Value) {
    let fields = example.as_object_mut().zip(other.as_object());
    let Some((fields, others)) = fields else { return };
    for (name, value) in others {
        if value.is_null() {
            fields.remove(name);
        } else {
            fields.insert(name.clone(), value.clone());
        }
    }
}
