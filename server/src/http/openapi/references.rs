//! Fields that refer to another schema.

use serde_json::Value;

/// Removes the second description of a field that refers to a schema.
///
/// poem-openapi writes it twice: beside the reference, and as if it were a schema. Generators of
/// clients take the latter for a further type of the field.
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
