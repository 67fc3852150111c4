//! A parser of JSON objects in which every member name occurs once (rule 6).
//!
//! Two parsers may read a document with a repeated name differently, but a signed text must have
//! one meaning. `serde_json` itself rejects numbers outside the standard, trailing text, invalid
//! UTF-8 and lone surrogates.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Parses `text` as one JSON object that is nested at most `depth` levels deep. `serde_json` also
/// has a limit of its own, 127 levels.
pub(crate) fn object(text: &[u8], depth: usize) -> Option<Map<String, Value>> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = StrictValue { depth }.deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    if let Value::Object(object) = value { Some(object) } else { None }
}

/// A value that may contain `depth` more levels of arrays and objects.
#[derive(Clone, Copy)]
struct StrictValue {
    depth: usize,
}

impl StrictValue {
    fn nested<E: Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| E::custom("nested too deep"))?;
        Ok(Self { depth })
    }
}

impl<'de> DeserializeSeed<'de> for StrictValue {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StrictValue {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON without repeated names")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let nested = self.nested()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(nested)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let nested = self.nested()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(nested)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a name occurs twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_parsed_to_the_same_value_as_by_serde_json() {
        let text = r#"{"a":[1,-2,3.5,null,true,"x"],"b":{"c":"\u00fc"}}"#;
        assert_eq!(
            object(text.as_bytes(), 128),
            serde_json::from_str::<Value>(text).unwrap().as_object().cloned()
        );
    }

    /// Holds rule 6.
    #[test]
    fn a_repeated_name_is_rejected_at_any_depth_and_in_any_spelling() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"b":[{"a":1,"a":2}]}"#, r#"{"a":1,"\u0061":2}"#] {
            assert_eq!(object(text.as_bytes(), 128), None, "{text}");
        }
    }

    /// Holds rule 6.
    #[test]
    fn only_one_complete_object_is_accepted() {
        for text in [
            "",
            "null",
            "[]",
            "{} {}",
            "{}x",
            r#"{"a":NaN}"#,
            r#"{"a":1e999}"#,
            r#"{"a":"\ud800"}"#,
        ] {
            assert_eq!(object(text.as_bytes(), 128), None, "{text}");
        }
        assert_eq!(object(b"{\"a\":\"\xff\"}", 128), None);
    }

    /// Holds rule 6.
    #[test]
    fn the_depth_of_json_is_limited() {
        assert!(object(br#"{"a":[{}]}"#, 3).is_some());
        assert!(object(br#"{"a":[{}]}"#, 2).is_none());
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
        assert!(object(deep.as_bytes(), usize::MAX).is_none());
    }
}
