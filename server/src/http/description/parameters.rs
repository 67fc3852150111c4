//! What the parameters in paths are, the same in every call.

use serde_json::Value;

/// Says of a call's parameters what they are, where the call does not.
pub(super) fn describe(call: &mut Value) {
    let parameters = call.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten().filter_map(Value::as_object_mut) {
        let name = parameter.get("name").and_then(Value::as_str).unwrap_or_default();
        let text = match name {
            "appid" => "The Application.",
            "device" => "The name of the device.",
            "id" => "The number of the key.",
            _ => continue,
        };
        parameter.entry("description").or_insert_with(|| text.into());
    }
}
