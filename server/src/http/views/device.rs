//! The name of a device in a path, with its form in the document.

use std::borrow::Cow;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseFromParameter, ParseResult, Type};
use presence_protocol::{DeviceName, Errno};

use crate::http::error_response::ErrorResponse;

/// The name of a device. What is given is only checked on [`Device::name`], since what cannot be one is just not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::http) struct Device(String);

impl Device {
    /// The device that is meant.
    pub(in crate::http) fn name(&self) -> Result<DeviceName, ErrorResponse> {
        self.0.parse().map_err(|_| Errno::NotFound.into())
    }
}

impl Type for Device {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "device".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            pattern: Some("^[A-Za-z0-9._-]{1,64}$".to_owned()),
            example: Some("phone".into()),
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

impl ParseFromParameter for Device {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        Ok(Self(value.to_owned()))
    }
}
