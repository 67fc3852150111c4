//! The error responses of the operations: what each handler's error type declares, and what the
//! extractors of credentials and bodies add.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use presence_protocol::{Errno, RetryAdvice};
use serde_json::{Map, Value, json};

use super::{examples, walk};
use crate::http::operation_error::errno_of_key;
use crate::http::{body, credential};

/// The name of the schema of errors.
pub(super) const SCHEMA: &str = "Ko";

/// Replaces the declared errors of an operation by one response for each HTTP status.
///
/// An operation that declares no errors gets none.
pub(super) fn describe(schemas: &Value, operation: &mut Value) {
    let mut errnos = take_declared(operation);
    if errnos.is_empty() {
        return;
    }
    errnos.extend(body_errors(schemas, operation));
    errnos.extend(credential_errors(operation));
    let mut by_status: BTreeMap<u16, Vec<Errno>> = BTreeMap::new();
    for errno in errnos {
        by_status.entry(errno.http_status()).or_default().push(errno);
    }
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
        return;
    };
    for (status, errnos) in by_status {
        let error = error_response(status, &errnos);
        match responses.get_mut(&status.to_string()) {
            None => drop(responses.insert(status.to_string(), error)),
            Some(response) => merge(response, &error),
        }
    }
}

/// Removes the keys that stand for declared errors, and returns those errors.
fn take_declared(operation: &mut Value) -> BTreeSet<Errno> {
    let responses = operation.get_mut("responses").and_then(Value::as_object_mut);
    let Some(responses) = responses else { return BTreeSet::new() };
    let errnos = responses.keys().filter_map(|key| errno_of_key(key)).collect();
    responses.retain(|key, _| errno_of_key(key).is_none());
    errnos
}

/// Returns the errors of reading a body. A body with a required field adds its absence.
fn body_errors(schemas: &Value, operation: &Value) -> Vec<Errno> {
    let Some(request) = operation.get("requestBody") else { return Vec::new() };
    let bodies = request.get("content").and_then(Value::as_object).into_iter().flatten();
    let mut names = bodies.filter_map(|(_, body)| body.pointer("/schema/$ref")?.as_str());
    let requires_field = names.any(|reference| {
        let schema = walk::schema_name(reference).and_then(|name| schemas.get(name));
        schema.is_some_and(|schema| schema.get("required").is_some())
    });
    let missing = requires_field.then_some(Errno::MissingField);
    body::ERRNOS.iter().copied().chain(missing).collect()
}

/// Returns the errors of checking the credential that an operation requires.
fn credential_errors(operation: &Value) -> &'static [Errno] {
    let schemes = operation.pointer("/security/0").and_then(Value::as_object);
    let scheme = schemes.and_then(|schemes| schemes.keys().next());
    scheme.map_or(&[], |scheme| credential::errnos(scheme))
}

fn error_response(status: u16, errnos: &[Errno]) -> Value {
    let mut description = String::new();
    for errno in errnos {
        let (number, name, meaning) = (errno.number(), errno.name(), errno.meaning().trim());
        let _ = writeln!(description, "- {number} `{name}`: {meaning}");
    }
    let schema = json!({ "$ref": walk::reference(SCHEMA) });
    let examples = examples::of_errors(errnos);
    json!({
        "description": description.trim(),
        "content": { body::JSON: { "schema": schema, "examples": examples } },
        "headers": headers(status, errnos),
    })
}

/// Adds errors to a response of the same status that has a schema of its own, such as the health of
/// a server whose database fails.
fn merge(response: &mut Value, error: &Value) {
    let texts = [&*response, error].map(|one| one["description"].as_str().unwrap_or_default());
    let description = texts.join("\n\n");
    let own = response["content"].as_object().and_then(|content| content.values().next());
    let schema = own.map(|own| own["schema"].clone()).unwrap_or_default();
    let mut content = error["content"].clone();
    if let Some(merged) = content.get_mut(body::JSON).and_then(|json| json.get_mut("schema")) {
        *merged = json!({ "oneOf": [schema, { "$ref": walk::reference(SCHEMA) }] });
    }
    *response =
        json!({ "description": description, "content": content, "headers": error["headers"] });
}

fn headers(status: u16, errnos: &[Errno]) -> Value {
    let mut headers = Map::new();
    if errnos.iter().any(|errno| errno.retry_advice() == RetryAdvice::AfterWaiting) {
        let seconds = json!({ "type": "integer", "minimum": 1 });
        let header = json!({
            "description": "The number of seconds to wait, if it is known.",
            "schema": seconds,
        });
        headers.insert("Retry-After".to_owned(), header);
    }
    let required =
        |text| json!({ "description": text, "required": true, "schema": { "type": "string" } });
    if status == 401 {
        headers.insert("WWW-Authenticate".to_owned(), required("`Bearer`"));
    }
    if status == 405 {
        headers.insert("Allow".to_owned(), required("The methods that the path supports."));
    }
    Value::Object(headers)
}
