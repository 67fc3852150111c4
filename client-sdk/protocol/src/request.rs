//! The `id` of a request, which its reply repeats.

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::limits::MAX_REQUEST_ID_CHARS;

/// The `id` of a request: a string or an integer, kept exactly as it was written.
#[derive(Debug, Clone)]
pub struct RequestId(Box<RawValue>);

impl RequestId {
    /// Parses the JSON text of an id. Returns `None` unless it is a string of at most 128
    /// characters, or an integer of at most 128 digits.
    pub fn parse(json: &str) -> Option<Self> {
        let is_id = if json.starts_with('"') {
            let text = serde_json::from_str::<Cow<'_, str>>(json).ok()?;
            text.chars().count() <= MAX_REQUEST_ID_CHARS
        } else {
            json.len() <= MAX_REQUEST_ID_CHARS
                && json.bytes().all(|b| b.is_ascii_digit() || b == b'-')
        };
        if !is_id {
            return None;
        }
        RawValue::from_string(json.to_owned()).ok().map(Self)
    }
}

impl RequestId {
    /// Creates an id from a number.
    pub fn from_number(number: u64) -> Self {
        // The digits of a number are JSON.
        Self(RawValue::from_string(number.to_string()).unwrap_or_default())
    }
}

impl PartialEq for RequestId {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_strings_and_integers_are_ids() {
        for json in ["7", "-7", "\"a\"", "\"\"", "123456789012345678901234567890"] {
            assert!(RequestId::parse(json).is_some(), "{json}");
        }
        for json in ["1.5", "true", "null", "[]", "{}", "", "\"\\ud800\"", "--"] {
            assert!(RequestId::parse(json).is_none(), "{json}");
        }
    }

    #[test]
    fn an_id_has_128_characters_at_most() {
        for character in ["x", "é", "😀", "\\\"", "\\u00e9"] {
            let text = |characters| format!("\"{}\"", character.repeat(characters));
            assert!(RequestId::parse(&text(128)).is_some(), "{character}");
            assert!(RequestId::parse(&text(129)).is_none(), "{character}");
        }
        assert!(RequestId::parse(&"7".repeat(128)).is_some());
        assert!(RequestId::parse(&"7".repeat(129)).is_none());
    }

    #[test]
    fn an_id_is_repeated_exactly_as_it_was_written() {
        let id = RequestId::parse("123456789012345678901234567890").unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), "123456789012345678901234567890");
    }
}
