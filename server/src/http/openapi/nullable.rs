//! Fields of request bodies that may be `null`, which counts as absent.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::walk;

/// Marks every field that a JSON body may leave out as one that may be `null`.
pub(super) fn mark(document: &mut Value) {
    let mut names = BTreeSet::new();
    let operations = document.get("paths").and_then(Value::as_object).into_iter().flatten();
    let operations = operations.filter_map(|(_, operations)| operations.as_object()).flatten();
    for (_, operation) in operations {
        let schema = operation.pointer("/requestBody/content/application~1json/schema");
        if let Some(schema) = schema {
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
            mark_schema(&before, schema);
        }
    }
}

/// Collects the names of the object schemas that a schema is made of.
fn collect(document: &Value, schema: &Value, names: &mut BTreeSet<String>) {
    if let Some(items) = schema.get("items") {
        collect(document, items, names);
    }
    let name = schema.get("$ref").and_then(Value::as_str).and_then(walk::schema_name);
    let Some(name) = name else { return };
    let known = document.pointer(&format!("/components/schemas/{name}"));
    let Some(fields) = known.and_then(|known| known.get("properties")?.as_object()) else { return };
    if names.insert(name.to_owned()) {
        for field in fields.values() {
            collect(document, field, names);
        }
    }
}

fn mark_schema(schemas: &Map<String, Value>, schema: &mut Value) {
    let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let fields = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, field) in fields.into_iter().flatten() {
        if !required.contains(&json!(name)) {
            mark_field(schemas, field);
        }
    }
}

/// Marks a field. One with a type of its own is `nullable`; one that refers to an enumeration
/// becomes a choice between that and `null`.
fn mark_field(schemas: &Map<String, Value>, field: &mut Value) {
    let reference = field.pointer("/allOf/0/$ref").or_else(|| field.get("$ref"));
    let name = reference.and_then(Value::as_str).and_then(walk::schema_name);
    let values =
        name.filter(|name| schemas.get(*name).is_some_and(|one| one.get("enum").is_some()));
    let values = values.map(|name| json!({ "$ref": walk::reference(name) }));
    let Some(fields) = field.as_object_mut() else { return };
    let Some(values) = values else {
        fields.insert("nullable".to_owned(), true.into());
        return;
    };
    fields.remove("allOf");
    fields.remove("$ref");
    let only_null = json!({ "type": "string", "nullable": true, "enum": [null] });
    fields.insert("anyOf".to_owned(), json!([values, only_null]));
}
