//! The name of a device in a path, with its schema in the document.

use std::borrow::Cow;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseFromParameter, ParseResult, Type};
use presence_protocol::{ApiError, DeviceName, Errno};

/// The name of a device. It is checked by [`DeviceParam::name`] only, since a text that cannot be a
/// name is answered like a device that does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeviceParam(String);

impl DeviceParam {
    /// Returns the parsed name, or `NotFound` if the text is no name.
    pub(crate) fn name(&self) -> Result<DeviceName, ApiError> {
        self.0.parse().map_err(|_| Errno::NotFound.into())
    }
}

impl Type for DeviceParam {
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

impl ParseFromParameter for DeviceParam {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        Ok(Self(value.to_owned()))
    }
}
