//! What a host publishes under `/.well-known/browserid` (rules 18 and 19).
//!
//! It reads an answer; it asks nobody. What it does not understand counts as no document at all.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::key::PublicKey;
use super::names::{self, Hosts};
use crate::strict_json;

/// The most keys of one document that are tried (rule 23).
const MAX_KEYS: usize = 16;
/// The longest document, in bytes.
const MAX_LENGTH: usize = 64 * 1024;
const MAX_DEPTH: usize = 128;

/// What a host says about its users' certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SupportDocument {
    /// It signs them with one of these keys.
    Supported {
        /// At least one key, at most 16.
        keys: Arc<[PublicKey]>,
    },
    /// Another host does.
    Delegated {
        /// That host.
        authority: String,
    },
    /// It wants none.
    Disabled,
}

impl SupportDocument {
    /// Reads an HTTP answer: status 200, `application/json`, at most 64 KiB. `None` if it is no
    /// support document.
    ///
    /// A document with DSA keys costs some milliseconds each: read those of strangers in
    /// `spawn_blocking`.
    pub fn from_response(status: u16, content_type: Option<&str>, body: &[u8]) -> Option<Self> {
        let media_type = content_type?.split(';').next()?.trim();
        if status != 200 || !media_type.eq_ignore_ascii_case("application/json") {
            return None;
        }
        Self::parse(body)
    }

    /// Reads the text of a document. `None` if it is none.
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
            Some(Value::String(authority)) => names::is_host(authority, Hosts::Local)
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

    #[test]
    fn the_media_type_may_have_parameters_but_must_be_json() {
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

    #[test]
    fn disabled_comes_before_authority() {
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

    #[test]
    fn a_document_that_is_too_long_is_none() {
        let padding = " ".repeat(MAX_LENGTH);
        assert_eq!(
            SupportDocument::parse(format!("{padding}{{\"disabled\":true}}").as_bytes()),
            None
        );
    }
}
