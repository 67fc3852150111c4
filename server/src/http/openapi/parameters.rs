//! The descriptions of path parameters, which are the same in every operation.

use serde_json::Value;

use super::walk;

/// Describes each parameter of an operation that has no description.
pub(super) fn describe(operation: &mut Value) {
    let is_of_session = walk::operation_id(operation) == "end_session";
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten().filter_map(Value::as_object_mut) {
        let name = parameter.get("name").and_then(Value::as_str).unwrap_or_default();
        let text = match name {
            "appid" => "The Application.",
            "device" => "The name of the device.",
            "id" if is_of_session => "The id of the session, from the list.",
            "id" => "The number of the key.",
            _ => continue,
        };
        parameter.entry("description").or_insert_with(|| text.into());
    }
}
