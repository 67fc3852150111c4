//! A document in YAML or JSON. Its fields keep the order in which they were written.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// A value in a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum DocumentValue {
    /// Nothing.
    Null(()),
    /// A Boolean.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Number(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<DocumentValue>),
    /// A map from names to values.
    Map(IndexMap<String, DocumentValue>),
}

/// The value of a missing field.
static MISSING: DocumentValue = DocumentValue::List(Vec::new());

impl DocumentValue {
    /// Parses a document in YAML.
    pub(super) fn parse(yaml: &str) -> Result<Self, serde_saphyr::Error> {
        serde_saphyr::from_str(yaml)
    }

    /// Parses a document in JSON.
    pub(super) fn parse_json(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// Returns a field; an empty list if it is missing.
    pub(super) fn at(&self, name: &str) -> &Self {
        match self {
            Self::Map(fields) => fields.get(name).unwrap_or(&MISSING),
            Self::Null(())
            | Self::Bool(_)
            | Self::Integer(_)
            | Self::Number(_)
            | Self::Text(_)
            | Self::List(_) => &MISSING,
        }
    }

    /// Returns the text; empty if the value is none.
    pub(super) fn text(&self) -> &str {
        if let Self::Text(text) = self { text } else { "" }
    }

    /// Returns the fields; none if the value is no map.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &Self)> {
        let fields = if let Self::Map(fields) = self { Some(fields) } else { None };
        fields.into_iter().flatten().map(|(name, value)| (name.as_str(), value))
    }

    /// Returns the values of the list; none if the value is no list.
    pub(super) fn list(&self) -> &[Self] {
        if let Self::List(values) = self { values } else { &[] }
    }

    /// Returns true if the value has a field, which may be empty.
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields().any(|(known, _)| known == name)
    }

    /// Returns false for a missing field.
    pub(super) fn is_present(&self) -> bool {
        *self != MISSING
    }

    /// Follows the `$ref` of a value, also over several steps; returns any other value itself.
    pub(super) fn resolve<'a>(&'a self, node: &'a Self) -> &'a Self {
        let mut node = node;
        while let Some(path) = node.at("$ref").text().strip_prefix("#/") {
            node = path.split('/').fold(self, |node, name| node.at(name));
        }
        node
    }

    /// Returns the name at the end of a `$ref`.
    pub(super) fn reference_name(&self) -> &str {
        self.at("$ref").text().rsplit('/').next().unwrap_or_default()
    }

    /// Returns the text of a text, and any other value as indented JSON.
    pub(super) fn display(&self) -> String {
        if let Self::Text(text) = self { text.clone() } else { self.json() }
    }

    /// Returns the value as indented JSON.
    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}
