//! The fields of a frame, read from its JSON schema: what a table of them says.

use super::document::Node;
use super::markdown;

/// A field of a frame.
#[derive(Debug)]
pub(super) struct Field {
    /// Its name, with those around it where it is further inside: `notifications[].uid`.
    pub(super) name: String,
    /// What it holds, as HTML.
    pub(super) kind: String,
    /// Whether it must be there.
    pub(super) required: bool,
    /// What it means, as HTML.
    pub(super) description: String,
}

/// The fields of a schema, also of those that it is put together from, and below them those of the objects inside.
pub(super) fn of(document: &Node, schema: &Node, around: &str) -> Vec<Field> {
    let schema = document.follow(schema);
    let mut fields = Vec::new();
    for part in schema.at("allOf").list() {
        fields.extend(of(document, part, around));
    }
    // One of several: the fields of all, each with what it is in the first that has it.
    for part in schema.at("oneOf").list() {
        let others = of(document, part, around);
        fields.extend(others.into_iter().map(|field| Field { required: false, ..field }));
    }
    let required: Vec<&str> = schema.at("required").list().iter().map(Node::text).collect();
    for (name, field) in schema.at("properties").fields() {
        let path = format!("{around}{name}");
        let target = document.follow(field);
        fields.push(Field {
            name: path.clone(),
            kind: markdown::html(&kind(document, target)),
            required: required.contains(&name),
            description: markdown::html(description(field, target)),
        });
        let items = document.follow(target.at("items"));
        if items.is_there() {
            fields.extend(of(document, items, &format!("{path}[].")));
        }
    }
    keep_last(fields)
}

/// A field that is described twice is what it was narrowed to, where it first stood.
fn keep_last(fields: Vec<Field>) -> Vec<Field> {
    let mut kept: Vec<Field> = Vec::new();
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

fn description<'a>(field: &'a Node, target: &'a Node) -> &'a str {
    let own = field.at("description").text();
    if own.is_empty() { target.at("description").text() } else { own }
}

/// What a schema lets through, in words.
fn kind(document: &Node, schema: &Node) -> String {
    let constant = schema.at("const");
    if constant.is_there() {
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
            either.iter().map(|one| kind(document, document.follow(one))).collect();
        return kinds.join(" or ");
    }
    let items = schema.at("items");
    let name = if items.is_there() {
        format!("list of {}s", kind(document, document.follow(items)))
    } else {
        let name = schema.at("type").text();
        if name.is_empty() { "object".to_owned() } else { name.to_owned() }
    };
    [name].into_iter().chain(limits(schema)).collect::<Vec<_>>().join(", ")
}

/// The limits of a schema, each in words.
fn limits(schema: &Node) -> impl Iterator<Item = String> {
    let words = [
        ("pattern", "`", "`"),
        ("minimum", "from ", ""),
        ("maximum", "to ", ""),
        ("minLength", "at least ", " characters"),
        ("maxLength", "at most ", " characters"),
        ("maxItems", "at most ", " items"),
        ("default", "`", "` where it is not said"),
    ];
    words.into_iter().filter_map(|(name, before, after)| {
        let limit = schema.at(name);
        let said = if limit.text().is_empty() { limit.json() } else { limit.text().to_owned() };
        limit.is_there().then(|| format!("{before}{said}{after}"))
    })
}
