//! An example of every body. Those of the API's own objects are made from the types that are sent,
//! so they cannot be out of date.

use std::collections::BTreeMap;

use presence_protocol::{ApiError, Errno};
use serde_json::{Value, json};

use super::walk;

/// Adds an example to every request and response that has none yet.
pub(super) fn add(document: &mut Value) {
    let (of_schemas, patches) = (of_schemas(document), patches());
    for (_, operations) in walk::members(document.get_mut("paths")) {
        for (_, operation) in walk::members(Some(operations)) {
            let id = walk::operation_id(operation).to_owned();
            let request = operation.pointer_mut("/requestBody/content");
            add_to(request, |schema| of_schemas.get(schema).cloned());
            for (status, response) in walk::members(operation.get_mut("responses")) {
                let patch = patches.iter().find(|patch| patch.is_for(&id, status));
                add_to(response.get_mut("content"), |schema| {
                    let example = of_schemas.get(schema).cloned()?;
                    Some(patch.map_or_else(|| example.clone(), |patch| patch.apply(&example)))
                });
            }
        }
    }
    let error = document.pointer_mut("/components/schemas/Ko").and_then(Value::as_object_mut);
    if let Some(error) = error {
        error.insert("example".to_owned(), of_error(Errno::SlowDown));
    }
}

/// Returns the examples of errors, by their names.
pub(super) fn of_errors(errnos: &[Errno]) -> Value {
    let example = |errno: &Errno| {
        let summary = format!("{}: {}", errno.number(), errno.meaning().trim());
        (errno.name().to_owned(), json!({ "summary": summary, "value": of_error(*errno) }))
    };
    Value::Object(errnos.iter().map(example).collect())
}

/// Returns an error as the server sends it, with the time to wait if the server knows one.
fn of_error(errno: Errno) -> Value {
    let wait = [
        (Errno::SlowDown, 0.25),
        (Errno::TooManyConnections, 0.25),
        (Errno::IdentityUnavailable, 5.0),
        (Errno::StorageUnavailable, 1.0),
        (Errno::ShuttingDown, 1.0),
    ];
    let wait = wait.into_iter().find(|(known, _)| *known == errno);
    let error = wait
        .map_or(errno.into(), |(errno, seconds)| ApiError::from(errno).with_retry_after(seconds));
    serde_json::from_str(&error.to_json(None)).unwrap_or_default()
}

/// Returns the example of each schema that has one, by the reference to the schema.
fn of_schemas(document: &Value) -> BTreeMap<String, Value> {
    let schemas = document.pointer("/components/schemas").and_then(Value::as_object);
    let example = |(name, schema): (&String, &Value)| {
        Some((walk::reference(name), schema.get("example")?.clone()))
    };
    schemas.into_iter().flatten().filter_map(example).collect()
}

fn add_to(content: Option<&mut Value>, of_schema: impl Fn(&str) -> Option<Value>) {
    for (media_type, body) in walk::members(content) {
        let known = |path| of_schema(body.pointer(path)?.as_str()?);
        let (one, either) = (known("/schema/$ref"), known("/schema/oneOf/0/$ref"));
        let Some(body) = body.as_object_mut() else { continue };
        match body.get_mut("examples").and_then(Value::as_object_mut) {
            Some(errors) => {
                // A response that is either an object of its own or an error.
                errors.extend(
                    either.map(|value| ("otherwise".to_owned(), json!({ "value": value }))),
                );
            }
            None => {
                body.entry("example").or_insert_with(|| one.unwrap_or_else(|| of_text(media_type)));
            }
        }
    }
}

/// Returns an example of a body that is no object of the API.
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

/// The fields in which the example of one response differs from the example of its schema.
struct ExamplePatch {
    /// The id of the operation.
    operation: &'static str,
    /// The HTTP status of the response.
    status: &'static str,
    /// The fields with their values. `null` removes a field.
    fields: Value,
}

/// Returns all patches. A test checks that the document has the response of each.
fn patches() -> [ExamplePatch; 6] {
    let patch = |operation, status, fields| ExamplePatch { operation, status, fields };
    [
        patch("register_application", "201", json!({ "state": "registered" })),
        patch("verify_application", "200", json!({ "state": "verified" })),
        patch("deactivate_application", "200", json!({ "state": "inactive", "api_key": null })),
        patch("change_application", "200", json!({ "name": "Chess by Post" })),
        patch("pause_grant", "200", json!({ "paused": true })),
        patch("heartbeat", "503", json!({ "status": "error", "database": "error" })),
    ]
}

impl ExamplePatch {
    fn is_for(&self, operation: &str, status: &str) -> bool {
        self.operation == operation && self.status == status
    }

    fn apply(&self, example: &Value) -> Value {
        let mut patched = example.clone();
        let fields = patched.as_object_mut().zip(self.fields.as_object());
        let Some((fields, changes)) = fields else { return patched };
        for (name, value) in changes {
            if value.is_null() {
                fields.remove(name);
            } else {
                fields.insert(name.clone(), value.clone());
            }
        }
        patched
    }
}

#[cfg(test)]
mod tests {
    use super::super::document;
    use super::*;

    /// Returns the example of a response, without those of its errors.
    fn example(document: &Value, operation: &str, status: &str) -> Value {
        let paths = document["paths"].as_object().unwrap().values();
        let mut operations = paths.flat_map(|path| path.as_object().unwrap().values());
        let found = operations.find(|found| found["operationId"] == operation);
        let found = found.unwrap_or_else(|| panic!("no operation has the id {operation}"));
        let content = found["responses"][status]["content"].as_object();
        let content = content.unwrap_or_else(|| panic!("{operation} has no response {status}"));
        let body = content.values().next().unwrap();
        body.get("example").unwrap_or(&body["examples"]["otherwise"]["value"]).clone()
    }

    #[test]
    fn every_patch_changes_the_example_of_a_response_in_the_document() {
        let document: Value = serde_json::from_str(&document()).unwrap();
        for patch in patches() {
            let ExamplePatch { operation, status, fields } = patch;
            let example = example(&document, operation, status);
            assert!(example.is_object(), "{operation} {status} has no example");
            for (name, value) in fields.as_object().unwrap() {
                let shown = example.get(name).unwrap_or(&Value::Null);
                assert_eq!(shown, value, "{operation} {status}: {name}");
            }
        }
    }
}
