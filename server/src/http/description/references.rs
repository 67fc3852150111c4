//! Fields that refer to another schema.

use serde_json::Value;

/// poem-openapi says the description of a field that refers to a schema twice: beside the reference, and as if it were a schema. Programs
/// that make clients take the second for something that the field must be too.
pub(super) fn simplify(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(parts) = fields.get_mut("allOf").and_then(Value::as_array_mut) {
                parts.retain(|part| !is_description(part));
            }
            fields.values_mut().for_each(simplify);
        }
        Value::Array(values) => values.iter_mut().for_each(simplify),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_description(part: &Value) -> bool {
    part.as_object().is_some_and(|fields| fields.len() == 1 && fields.contains_key("description"))
}
