//! The OpenAPI document: the operations as poem-openapi describes them, completed with the errors
//! that each operation declares, examples, and what poem-openapi cannot express.

mod errors;
mod examples;
mod extra_operations;
mod nullable;
mod parameters;
mod patterns;
mod references;
mod responses;
mod security;
mod walk;

use poem_openapi::registry::Registry;
use poem_openapi::types::Type;
use serde_json::Value;

use super::api;
use super::views::ErrorView;

/// Returns the OpenAPI document as JSON. The same server always returns the same text.
pub fn document() -> String {
    let spec = api::service().spec();
    let mut document: Value = serde_json::from_str(&spec).unwrap_or_default();
    if let Some(schemas) =
        document.pointer_mut("/components/schemas").and_then(Value::as_object_mut)
    {
        schemas.insert(errors::SCHEMA.to_owned(), error_schema());
    }
    extra_operations::add(&mut document);
    let schemas = document.pointer("/components/schemas").cloned().unwrap_or_default();
    for (_, operations) in walk::members(document.get_mut("paths")) {
        for (method, operation) in walk::members(Some(operations)) {
            security::describe(method, operation);
            errors::describe(&schemas, operation);
            responses::describe(&schemas, operation);
            parameters::describe(operation);
        }
    }
    examples::add(&mut document);
    nullable::mark(&mut document);
    patterns::fill(&mut document);
    references::simplify(&mut document);
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

fn error_schema() -> Value {
    let mut registry = Registry::new();
    ErrorView::register(&mut registry);
    let schema = registry.schemas.get(errors::SCHEMA);
    schema.and_then(|schema| serde_json::to_value(schema).ok()).unwrap_or_default()
}
