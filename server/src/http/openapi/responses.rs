//! The descriptions of successful responses.

use serde_json::Value;

use super::walk;

/// Gives each response that has no description the description of its schema.
pub(super) fn describe(schemas: &Value, operation: &mut Value) {
    for (_, response) in walk::members(operation.get_mut("responses")) {
        let schema = response.get("content").and_then(Value::as_object).and_then(|content| {
            content.values().find_map(|body| body.pointer("/schema/$ref")?.as_str())
        });
        let description = schema
            .and_then(walk::schema_name)
            .and_then(|name| schemas.get(name)?.get("description")?.as_str())
            .unwrap_or("The text.")
            .to_owned();
        if response.get("description").is_none_or(|text| text == "")
            && let Some(response) = response.as_object_mut()
        {
            response.insert("description".to_owned(), description.into());
        }
    }
}
