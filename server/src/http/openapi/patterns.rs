//! The patterns of texts. A field names its pattern, and the document holds the whole one.

use serde_json::Value;

/// The characters that no text may have: line breaks, and characters that are invisible, fill space
/// or change the direction. They are those of the text rule in [`presence_service::rules`].
const HIDDEN: &str = "\\x00-\\x1f\\x7f-\\x9f\\xad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\
    \\u2060-\\u206f\\u2800\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb\
    \u{13430}-\u{1343f}\u{13441}\u{13442}\u{16fe4}\u{1bca0}-\u{1bca3}\u{1d159}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}";
/// The spaces, of which a name cannot consist.
const SPACES: &str = "\\x20\\xa0\\u1680\\u2000-\\u200a\\u202f\\u205f\\u3000";
/// A host name, or one of this machine with a port.
const DOMAIN: &str = "^(([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?\
                   |(localhost|127\\.0\\.0\\.1)(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?)$";

/// Replaces the name of each pattern in the document.
pub(super) fn fill(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field.as_str().filter(|_| name == "pattern").and_then(named) {
                    Some(pattern) => *field = pattern.into(),
                    None => fill(field),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(fill),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn named(name: &str) -> Option<String> {
    match name {
        "text" => Some(format!("^([^{HIDDEN}]*[^{HIDDEN}])?$")),
        "name" => Some(format!("^([^{HIDDEN}]*[^{HIDDEN}{SPACES}])([^{HIDDEN}]*[^{HIDDEN}])?$")),
        "domain" => Some(DOMAIN.to_owned()),
        _ => None,
    }
}
