//! The OpenAPI document: what poem-openapi knows of the calls, and the refusals that each can give.

mod beside;
mod credentials;
mod examples;
mod nulls;
mod parameters;
mod references;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use poem_openapi::registry::Registry;
use poem_openapi::types::Type;
use presence_protocol::{Errno, RetryAdvice};
use serde_json::{Map, Value, json};

use super::body::JSON;
use super::views::ErrorView;

/// Refers to the error object.
const KO: &str = "#/components/schemas/ApiError";

/// The OpenAPI document as JSON, always the same text for the same server.
pub fn document() -> String {
    let spec = super::service().spec();
    let mut document: Value = serde_json::from_str(&spec).unwrap_or_default();
    if let Some(schemas) =
        document.pointer_mut("/components/schemas").and_then(Value::as_object_mut)
    {
        schemas.insert("ApiError".to_owned(), ko_schema());
    }
    beside::add(&mut document);
    let descriptions = schema_descriptions(&document);
    for (path, calls) in members(document.get_mut("paths")) {
        for (method, call) in members(Some(calls)) {
            credentials::describe(method, call);
            describe_refusals(path, call);
            describe_answers(&descriptions, call);
            parameters::describe(call);
        }
    }
    examples::give(&mut document);
    nulls::allow(&mut document);
    references::simplify(&mut document);
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

fn members(value: Option<&mut Value>) -> impl Iterator<Item = (&String, &mut Value)> {
    value.and_then(Value::as_object_mut).into_iter().flatten()
}

fn ko_schema() -> Value {
    let mut registry = Registry::new();
    ErrorView::register(&mut registry);
    registry
        .schemas
        .get("ApiError")
        .and_then(|schema| serde_json::to_value(schema).ok())
        .unwrap_or_default()
}

/// What each schema is, by how it is referred to.
fn schema_descriptions(document: &Value) -> BTreeMap<String, String> {
    let schemas = document.pointer("/components/schemas").and_then(Value::as_object);
    let description = |(name, schema): (&String, &Value)| {
        let text = schema.get("description")?.as_str()?;
        Some((format!("#/components/schemas/{name}"), text.to_owned()))
    };
    schemas.into_iter().flatten().filter_map(description).collect()
}

/// An answer that nobody described is what its schema is.
fn describe_answers(descriptions: &BTreeMap<String, String>, call: &mut Value) {
    for (_, answer) in members(call.get_mut("responses")) {
        let schema = answer.get("content").and_then(Value::as_object).and_then(|content| {
            content.values().find_map(|kind| kind.pointer("/schema/$ref")?.as_str())
        });
        let described = schema.and_then(|name| descriptions.get(name).cloned());
        if answer.get("description").is_none_or(|text| text == "")
            && let Some(answer) = answer.as_object_mut()
        {
            let text = described.unwrap_or_else(|| "The text.".to_owned());
            answer.insert("description".to_owned(), text.into());
        }
    }
}

/// Adds the refusals of a call to its answers, by HTTP status.
fn describe_refusals(path: &str, call: &mut Value) {
    let mut by_status: BTreeMap<u16, Vec<Errno>> = BTreeMap::new();
    for errno in refusals(path, call) {
        by_status.entry(errno.http_status()).or_default().push(errno);
    }
    let Some(answers) = call.get_mut("responses").and_then(Value::as_object_mut) else { return };
    for (status, errnos) in by_status {
        let refusal = refusal(status, &errnos);
        match answers.get_mut(&status.to_string()) {
            None => drop(answers.insert(status.to_string(), refusal)),
            Some(answer) => add_refusal(answer, &refusal),
        }
    }
}

/// Which refusals a call can give.
fn refusals(path: &str, call: &Value) -> BTreeSet<Errno> {
    let mut errnos: BTreeSet<Errno> = own_refusals(operation_id(call)).iter().copied().collect();
    if path.contains("{appid}") {
        errnos.insert(Errno::UnknownApplication);
    }
    if call.get("requestBody").is_some() {
        errnos.extend([
            Errno::NotJson,
            Errno::InvalidField,
            Errno::TooLarge,
            Errno::UnsupportedMediaType,
        ]);
    }
    let credential = call.pointer("/security/0").and_then(Value::as_object);
    if let Some(credential) = credential {
        errnos.extend([
            Errno::NotAuthenticated,
            Errno::Forbidden,
            Errno::StorageUnavailable,
            Errno::SlowDown,
        ]);
        errnos.extend(if credential.contains_key("api_key") {
            [Errno::InvalidApiKey, Errno::ApplicationNotActive]
        } else {
            [Errno::SessionExpired, Errno::NotAuthenticated]
        });
    }
    errnos.extend([Errno::MethodNotAllowed, Errno::Internal, Errno::ShuttingDown]);
    errnos
}

fn operation_id(call: &Value) -> &str {
    call.get("operationId").and_then(Value::as_str).unwrap_or_default()
}

/// The refusals that do not follow from the form of a call.
fn own_refusals(operation: &str) -> &'static [Errno] {
    match operation {
        "create_session" => &[
            Errno::MissingField,
            Errno::SlowDown,
            Errno::IdentityUnavailable,
            Errno::InvalidAssertion,
            Errno::EmailMismatch,
            Errno::StorageUnavailable,
        ],
        "grant_application" => &[Errno::ApplicationNotActive, Errno::RedirectNotAllowed],
        "show_grant_page" => &[
            Errno::InvalidField,
            Errno::RedirectNotAllowed,
            Errno::ApplicationNotActive,
            Errno::StorageUnavailable,
        ],
        "pause_grant" | "register_application" | "send_notifications" => &[Errno::MissingField],
        "delete_key" | "end_device" | "get_dev_support_document" => &[Errno::NotFound],
        "verify_application" => &[Errno::SlowDown, Errno::DomainNotVerified],
        "activate_application" => &[Errno::DomainNotVerified],
        "deactivate_application" => &[Errno::ApplicationNotActive],
        "create_key" => &[Errno::DomainNotVerified, Errno::TooLarge],
        "poll_presence" => &[Errno::InvalidField, Errno::TooLarge],
        "make_dev_assertion" => &[Errno::NotFound, Errno::MissingField, Errno::InvalidField],
        _ => &[],
    }
}

fn refusal(status: u16, errnos: &[Errno]) -> Value {
    let mut description = String::new();
    for errno in errnos {
        let (number, name, meaning) = (errno.number(), errno.name(), errno.meaning().trim());
        let _ = writeln!(description, "- {number} `{name}`: {meaning}");
    }
    let schema = json!({ "$ref": KO });
    let content = json!({ JSON: { "schema": schema, "examples": examples::of_refusals(errnos) } });
    json!({ "description": description.trim(), "content": content, "headers": headers(status, errnos) })
}

/// A status that says something else too, such as that the database is ill: the answer is the one or the other.
fn add_refusal(answer: &mut Value, refusal: &Value) {
    let texts = [&*answer, refusal].map(|one| one["description"].as_str().unwrap_or_default());
    let description = texts.join("\n\n");
    let known = answer["content"].as_object().and_then(|content| content.values().next());
    let schema = known.map(|known| known["schema"].clone()).unwrap_or_default();
    let mut content = refusal["content"].clone();
    if let Some(described) = content.get_mut(JSON).and_then(|json| json.get_mut("schema")) {
        *described = json!({ "oneOf": [schema, { "$ref": KO }] });
    }
    *answer =
        json!({ "description": description, "content": content, "headers": refusal["headers"] });
}

fn headers(status: u16, errnos: &[Errno]) -> Value {
    let mut headers = Map::new();
    if errnos.iter().any(|errno| errno.retry_advice() == RetryAdvice::AfterWaiting) {
        let seconds = json!({ "type": "integer", "minimum": 1 });
        let header =
            json!({ "description": "Seconds to wait, where it is known.", "schema": seconds });
        headers.insert("Retry-After".to_owned(), header);
    }
    let always =
        |text| json!({ "description": text, "required": true, "schema": { "type": "string" } });
    if status == 401 {
        headers.insert("WWW-Authenticate".to_owned(), always("`Bearer`"));
    }
    if status == 405 {
        headers.insert("Allow".to_owned(), always("The methods that the path knows."));
    }
    Value::Object(headers)
}
