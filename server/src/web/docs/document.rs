//! A YAML document as it was written: its fields keep their order.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// A value in a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Node {
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Number(f64),
    /// A text.
    Text(String),
    /// Several values.
    List(Vec<Node>),
    /// Fields.
    Map(IndexMap<String, Node>),
}

/// What stands for a field that is not there.
static NOTHING: Node = Node::List(Vec::new());

impl Node {
    /// Reads a document.
    pub(super) fn read(yaml: &str) -> Result<Self, serde_saphyr::Error> {
        serde_saphyr::from_str(yaml)
    }

    /// A field; an empty list where it is not there.
    pub(super) fn at(&self, name: &str) -> &Self {
        match self {
            Self::Map(fields) => fields.get(name).unwrap_or(&NOTHING),
            Self::Bool(_) | Self::Integer(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => {
                &NOTHING
            }
        }
    }

    /// The text, empty where it is none.
    pub(super) fn text(&self) -> &str {
        if let Self::Text(text) = self { text } else { "" }
    }

    /// The fields, none where it has none.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &Self)> {
        let fields = if let Self::Map(fields) = self { Some(fields) } else { None };
        fields.into_iter().flatten().map(|(name, value)| (name.as_str(), value))
    }

    /// The values of the list, none where it is none.
    pub(super) fn list(&self) -> &[Self] {
        if let Self::List(values) = self { values } else { &[] }
    }

    /// Whether there is something.
    pub(super) fn is_there(&self) -> bool {
        *self != NOTHING
    }

    /// What a `$ref` in this document leads to, also over several; itself where it is no reference.
    pub(super) fn follow<'a>(&'a self, node: &'a Self) -> &'a Self {
        let mut node = node;
        while let Some(path) = node.at("$ref").text().strip_prefix("#/") {
            node = path.split('/').fold(self, |node, name| node.at(name));
        }
        node
    }

    /// The name at the end of a `$ref`.
    pub(super) fn referred(&self) -> &str {
        self.at("$ref").text().rsplit('/').next().unwrap_or_default()
    }

    /// As JSON for people.
    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}
