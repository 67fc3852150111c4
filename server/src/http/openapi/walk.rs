//! Access to the parts of an OpenAPI document.

use serde_json::Value;

/// The start of every reference to a schema.
const SCHEMAS: &str = "#/components/schemas/";

/// Returns the members of a JSON object, or nothing if the value is no object.
pub(super) fn members(value: Option<&mut Value>) -> impl Iterator<Item = (&String, &mut Value)> {
    value.and_then(Value::as_object_mut).into_iter().flatten()
}

/// Returns the id of an operation.
pub(super) fn operation_id(operation: &Value) -> &str {
    operation.get("operationId").and_then(Value::as_str).unwrap_or_default()
}

/// Returns the reference to a schema.
pub(super) fn reference(name: &str) -> String {
    format!("{SCHEMAS}{name}")
}

/// Returns the name of the schema that a reference names.
pub(super) fn schema_name(reference: &str) -> Option<&str> {
    reference.strip_prefix(SCHEMAS)
}
