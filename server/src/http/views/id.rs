//! Ids as texts, with their form in the document.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{
    ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type,
};
use presence_protocol::{ApiError, AppId, Errno};
use serde_json::Value;

/// An id: 32 lower-case hexadecimal digits. It is checked by [`Id::parse`] only, since each kind of
/// id has its own error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Id(String);

impl Id {
    /// Returns the id as it is sent.
    pub(crate) fn new(id: impl Display) -> Self {
        Self(id.to_string())
    }

    /// Returns the text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the parsed id, or the given error if the text is no id.
    pub(crate) fn parse<T: FromStr>(&self, otherwise: Errno) -> Result<T, ApiError> {
        self.0.parse().map_err(|_| otherwise.into())
    }

    /// Returns the id of an Application, or `UnknownApplication` if the text is no id.
    pub(crate) fn app(&self) -> Result<AppId, ApiError> {
        self.parse(Errno::UnknownApplication)
    }
}

impl Type for Id {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "id".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            pattern: Some("^[0-9a-f]{32}$".to_owned()),
            example: Some(Value::from("8f14e45fceea167a5a36dedd4bea2543")),
            ..MetaSchema::new("string")
        }))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromParameter for Id {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        Ok(Self(value.to_owned()))
    }
}

impl ParseFromJSON for Id {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            Some(Value::String(text)) => Ok(Self(text)),
            other => Err(ParseError::expected_type(other.unwrap_or_default())),
        }
    }
}

impl ToJSON for Id {
    fn to_json(&self) -> Option<Value> {
        Some(Value::from(self.0.as_str()))
    }
}
