//! Fields of request bodies that may be `null`, which counts as absent.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

const SCHEMAS: &str = "#/components/schemas/";

/// Says of every field that a JSON body may leave out that it may be `null` too.
pub(super) fn allow(document: &mut Value) {
    let mut names = BTreeSet::new();
    let calls = document.get("paths").and_then(Value::as_object).into_iter().flatten();
    for call in calls.filter_map(|(_, calls)| calls.as_object()).flatten() {
        if let Some(schema) = call.1.pointer("/requestBody/content/application~1json/schema") {
            collect(document, schema, &mut names);
        }
    }
    let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut)
    else {
        return;
    };
    let before = schemas.clone();
    for name in names {
        if let Some(schema) = schemas.get_mut(&name) {
            allow_in(&before, schema);
        }
    }
}

/// The names of the object schemas that a schema is made of.
fn collect(document: &Value, schema: &Value, names: &mut BTreeSet<String>) {
    if let Some(items) = schema.get("items") {
        collect(document, items, names);
    }
    let name = schema.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix(SCHEMAS));
    let Some(name) = name else { return };
    let known = document.pointer(&format!("/components/schemas/{name}"));
    let Some(fields) = known.and_then(|known| known.get("properties")?.as_object()) else { return };
    if names.insert(name.to_owned()) {
        for field in fields.values() {
            collect(document, field, names);
        }
    }
}

fn allow_in(schemas: &Map<String, Value>, schema: &mut Value) {
    let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let fields = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, field) in fields.into_iter().flatten() {
        if !required.contains(&json!(name)) {
            allow_for(schemas, field);
        }
    }
}

/// Beside a type of its own a field can say that it may be `null`; one that refers to a list of values is that or `null`.
fn allow_for(schemas: &Map<String, Value>, field: &mut Value) {
    let named = field.pointer("/allOf/0/$ref").or_else(|| field.get("$ref"));
    let name = named.and_then(Value::as_str).and_then(|to| to.strip_prefix(SCHEMAS));
    let values =
        name.filter(|name| schemas.get(*name).is_some_and(|one| one.get("enum").is_some()));
    let values = values.map(|name| json!({ "$ref": format!("{SCHEMAS}{name}") }));
    let Some(fields) = field.as_object_mut() else { return };
    let Some(values) = values else {
        fields.insert("nullable".to_owned(), true.into());
        return;
    };
    fields.remove("allOf");
    fields.remove("$ref");
    let nothing = json!({ "type": "string", "nullable": true, "enum": [null] });
    fields.insert("anyOf".to_owned(), json!([values, nothing]));
}
