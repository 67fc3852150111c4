//! Reads fields of JSON replies.

use serde_json::Value;

/// Returns a text field of a JSON object.
pub(crate) fn text_of(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}")).to_owned()
}
