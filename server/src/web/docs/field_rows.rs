//! The fields of a frame or a body, read from its JSON schema, as the rows of a table.

use super::document_value::DocumentValue;
use super::markdown;

/// The longest pattern that is shown, in bytes. A longer one lists characters, and says less than
/// the description.
const MAX_PATTERN: usize = 60;

/// A field, or a parameter of an operation.
#[derive(Debug)]
pub(super) struct FieldRow {
    /// The path of a nested field, such as `notifications[].uid`.
    pub(super) name: String,
    /// The type and its limits, as HTML.
    pub(super) kind: String,
    /// Indicates that the field must be present.
    pub(super) required: bool,
    /// The meaning, as HTML.
    pub(super) description: String,
}

impl FieldRow {
    /// Returns the row of a parameter of an operation.
    pub(super) fn of_parameter(document: &DocumentValue, parameter: &DocumentValue) -> Self {
        let schema = document.resolve(parameter.at("schema"));
        Self {
            name: parameter.at("name").text().to_owned(),
            kind: markdown::html(&kind(document, schema)),
            required: *parameter.at("required") == DocumentValue::Bool(true),
            description: markdown::html(description(parameter, schema)),
        }
    }
}

/// Returns the fields of a schema, of the schemas that it is made of, and of nested objects.
pub(super) fn of(document: &DocumentValue, schema: &DocumentValue, prefix: &str) -> Vec<FieldRow> {
    let schema = document.resolve(schema);
    let mut fields = Vec::new();
    for part in schema.at("allOf").list() {
        fields.extend(of(document, part, prefix));
    }
    // The fields of all alternatives.
    for part in schema.at("oneOf").list() {
        let others = of(document, part, prefix);
        fields.extend(others.into_iter().map(|field| FieldRow { required: false, ..field }));
    }
    let required: Vec<&str> =
        schema.at("required").list().iter().map(DocumentValue::text).collect();
    for (name, field) in schema.at("properties").fields() {
        let path = format!("{prefix}{name}");
        let target = document.resolve(field);
        fields.push(FieldRow {
            name: path.clone(),
            kind: markdown::html(&kind(document, target)),
            required: required.contains(&name),
            description: markdown::html(description(field, target)),
        });
        let items = document.resolve(target.at("items"));
        if items.is_present() {
            fields.extend(of(document, items, &format!("{path}[].")));
        }
    }
    merge(fields)
}

/// Merges fields of the same name: the later description counts, at the place of the first.
fn merge(fields: Vec<FieldRow>) -> Vec<FieldRow> {
    let mut kept: Vec<FieldRow> = Vec::new();
    for field in fields {
        match kept.iter_mut().find(|known| known.name == field.name) {
            Some(known) if known.description.is_empty() || !field.description.is_empty() => {
                *known = field;
            }
            Some(_) => {}
            None => kept.push(field),
        }
    }
    kept
}

fn description<'a>(field: &'a DocumentValue, target: &'a DocumentValue) -> &'a str {
    let own = field.at("description").text();
    if own.is_empty() { target.at("description").text() } else { own }
}

/// Describes the type of a schema and its limits, as Markdown.
fn kind(document: &DocumentValue, schema: &DocumentValue) -> String {
    let constant = schema.at("const");
    if constant.is_present() {
        return format!("`{}`", constant.json());
    }
    let values = schema.at("enum").list();
    if !values.is_empty() {
        let values: Vec<String> =
            values.iter().map(|value| format!("`{}`", value.json())).collect();
        return values.join(", ");
    }
    let either = schema.at("oneOf").list();
    if !either.is_empty() {
        let kinds: Vec<String> =
            either.iter().map(|one| kind(document, document.resolve(one))).collect();
        return kinds.join(" or ");
    }
    if let [only] = schema.at("allOf").list()
        && !schema.has("properties")
    {
        return kind(document, document.resolve(only));
    }
    let items = schema.at("items");
    let name = if items.is_present() {
        let item = kind(document, document.resolve(items));
        match item.split_once(", ") {
            Some((name, limits)) if is_word(name) => format!("list of {name}s, each {limits}"),
            _ => format!("list of {item}s"),
        }
    } else {
        let name = schema.at("type").text();
        if name.is_empty() { "object".to_owned() } else { name.to_owned() }
    };
    [name].into_iter().chain(limits(schema)).collect::<Vec<_>>().join(", ")
}

fn is_word(name: &str) -> bool {
    name.chars().all(char::is_alphabetic)
}

/// Describes each limit of a schema, as Markdown.
fn limits(schema: &DocumentValue) -> impl Iterator<Item = String> {
    let words = [
        ("pattern", "`", "`"),
        ("minimum", "from ", ""),
        ("maximum", "to ", ""),
        ("minLength", "at least ", " characters"),
        ("maxLength", "at most ", " characters"),
        ("maxItems", "at most ", " items"),
        ("default", "default `", "`"),
    ];
    words.into_iter().filter_map(|(name, before, after)| {
        let limit = schema.at(name);
        // The document of poem-openapi writes every limit as a number with a fraction.
        let value = if let DocumentValue::Number(number) = limit {
            number.to_string()
        } else {
            limit.display()
        };
        let is_short = name != "pattern" || value.len() <= MAX_PATTERN;
        (limit.is_present() && is_short).then(|| format!("{before}{value}{after}"))
    })
}
