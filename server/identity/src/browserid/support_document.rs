//! The parser of support documents, which hosts publish under `/.well-known/browserid` (rules 18
//! and 19).
//!
//! It sends no requests. A document that cannot be parsed counts as absent.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::key::PublicKey;
use super::names::{self, HostSyntax};
use crate::strict_json;

/// The maximum number of keys of one document (rule 23).
const MAX_KEYS: usize = 16;
/// The maximum length of a document, in bytes.
const MAX_LENGTH: usize = 64 * 1024;
const MAX_DEPTH: usize = 128;

/// The support document of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SupportDocument {
    /// The host certifies its users with one of these keys.
    Supported {
        /// At least one key, at most 16.
        keys: Arc<[PublicKey]>,
    },
    /// Another host certifies the users of this one.
    Delegated {
        /// The other host.
        authority: String,
    },
    /// The host has disabled certificates.
    Disabled,
}

impl SupportDocument {
    /// Parses an HTTP response: status 200, `application/json`, at most 64 KiB. Returns `None` if
    /// it is not a support document.
    ///
    /// Each DSA key costs some milliseconds: parse fetched documents in `spawn_blocking`.
    pub fn from_response(status: u16, content_type: Option<&str>, body: &[u8]) -> Option<Self> {
        let media_type = content_type?.split(';').next()?.trim();
        if status != 200 || !media_type.eq_ignore_ascii_case("application/json") {
            return None;
        }
        Self::parse(body)
    }

    /// Parses the text of a document. Returns `None` if it is not a support document.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() > MAX_LENGTH {
            return None;
        }
        let document = strict_json::object(text, MAX_DEPTH)?;
        match document.get("disabled") {
            Some(Value::Bool(true)) => return Some(Self::Disabled),
            Some(Value::Bool(false)) | None => {}
            Some(_) => return None,
        }
        match document.get("authority") {
            Some(Value::String(authority)) => names::is_host(authority, HostSyntax::Local)
                .then(|| Self::Delegated { authority: authority.clone() }),
            Some(_) => None,
            None => Self::supported(&document),
        }
    }

    fn supported(document: &Map<String, Value>) -> Option<Self> {
        let is_path = |name: &str| {
            let path = document.get(name).and_then(Value::as_str);
            path.is_some_and(|path| path.starts_with('/') && !path.starts_with("//"))
        };
        if !is_path("authentication") || !is_path("provisioning") {
            return None;
        }
        let listed = match document.get("keys") {
            Some(Value::Array(keys)) => keys.as_slice(),
            Some(_) => return None,
            None => &[],
        };
        let keys: Arc<[_]> = document
            .get("public-key")
            .into_iter()
            .chain(listed)
            .filter(|key| is_for_signatures(key))
            .take(MAX_KEYS)
            .filter_map(|key| PublicKey::parse(key).ok())
            .collect();
        (!keys.is_empty()).then_some(Self::Supported { keys })
    }
}

fn is_for_signatures(key: &Value) -> bool {
    key.get("use").is_none_or(|purpose| purpose == "sig")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Holds rule 18.
    #[test]
    fn the_media_type_of_a_support_document_is_json_with_any_parameters() {
        let read = |status, media_type| {
            SupportDocument::from_response(status, media_type, br#"{"disabled":true}"#)
        };
        assert_eq!(read(200, Some("application/json")), Some(SupportDocument::Disabled));
        assert_eq!(
            read(200, Some("Application/JSON; charset=utf-8")),
            Some(SupportDocument::Disabled)
        );
        assert_eq!(read(200, Some("application/jsonp")), None);
        assert_eq!(read(200, None), None);
        assert_eq!(read(203, Some("application/json")), None);
    }

    /// Holds rule 19.
    #[test]
    fn disabled_has_precedence_over_authority() {
        let read = |text: &str| SupportDocument::parse(text.as_bytes());
        assert_eq!(
            read(r#"{"disabled":true,"authority":"b.example"}"#),
            Some(SupportDocument::Disabled)
        );
        assert_eq!(
            read(r#"{"disabled":false,"authority":"b.example"}"#),
            Some(SupportDocument::Delegated { authority: "b.example".to_owned() })
        );
        assert_eq!(read(r#"{"disabled":null,"authority":"b.example"}"#), None);
    }

    /// Holds rule 18.
    #[test]
    fn a_support_document_that_is_too_long_is_rejected() {
        let padding = " ".repeat(MAX_LENGTH);
        assert_eq!(
            SupportDocument::parse(format!("{padding}{{\"disabled\":true}}").as_bytes()),
            None
        );
    }
}
