//! JSON bodies, read field by field, so that an error can name the field.

use std::collections::HashMap;

use poem::http::header;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaMediaType, MetaRequest, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use presence_protocol::{ApiError, Errno};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error_response::ErrorResponse;
use super::unread_body::UnreadBody;

/// The media type of JSON.
pub(super) const JSON: &str = "application/json";

/// The media type of forms.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// The errors of reading a body, beside the absence of a required field.
pub(super) const ERRNOS: &[Errno] =
    &[Errno::NotJson, Errno::InvalidField, Errno::TooLarge, Errno::UnsupportedMediaType];

/// A JSON body. `T` is also the body's schema.
pub(super) struct JsonBody<T>(pub(super) T);

/// A type that can be read from the fields of a JSON object.
pub(super) trait FromFields: Type {
    /// Reads the fields that the type has. Other fields are ignored.
    fn from_fields(fields: &Fields<'_>) -> Result<Self, ApiError>
    where
        Self: Sized;

    /// Reads a body that is a list. Most types have no such form.
    fn from_list(_json: &str) -> Result<Self, ApiError>
    where
        Self: Sized,
    {
        Err(Errno::NotJson.into())
    }
}

impl<'a, T: FromFields> ApiExtractor<'a> for JsonBody<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    const PARAM_IS_REQUIRED: bool = true;
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = vec![MetaMediaType { content_type: JSON, schema: T::schema_ref() }];
        Some(MetaRequest { description: None, content, required: true })
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let (text, _) = text(request, &[JSON]).await?;
        Ok(Self(read(&text)?))
    }
}

/// Parses an object from its JSON text.
pub(super) fn read<T: FromFields>(text: &str) -> Result<T, ErrorResponse> {
    if text.trim_start().starts_with('[') {
        return Ok(T::from_list(text)?);
    }
    let fields = serde_json::from_str(text).map_err(|_| Errno::NotJson)?;
    Ok(T::from_fields(&Fields(fields))?)
}

/// Returns the body as text, and its media type, which is one of `media_types`. There is no media
/// type if the body is empty and the request names none.
pub(crate) async fn text(
    request: &Request,
    media_types: &[&'static str],
) -> Result<(String, Option<&'static str>), ErrorResponse> {
    let bytes = UnreadBody::read(request).await?;
    let text = String::from_utf8(bytes).map_err(|_| Errno::NotJson)?;
    let known = match media_type(request) {
        Some(given) => media_types.iter().copied().find(|known| *known == given),
        None if text.is_empty() => return Ok((text, None)),
        None => None,
    };
    let known = known.ok_or(Errno::UnsupportedMediaType)?;
    Ok((text, Some(known)))
}

/// Returns the media type of the body in lower case, without parameters.
fn media_type(request: &Request) -> Option<String> {
    let value = request.header(header::CONTENT_TYPE)?;
    value.split(';').next().map(|name| name.trim().to_ascii_lowercase())
}

/// The fields of a JSON object. A field that is `null` counts as absent.
pub(super) struct Fields<'a>(HashMap<String, &'a RawValue>);

impl Fields<'_> {
    /// Returns a required field. `expected` describes a valid value, for the error.
    pub(super) fn required<'a, T: Deserialize<'a>>(
        &'a self,
        name: &str,
        expected: &str,
    ) -> Result<T, ApiError> {
        self.optional(name, expected)?.ok_or_else(|| ApiError::detailed(Errno::MissingField, name))
    }

    /// Returns an optional field. `expected` describes a valid value, for the error.
    pub(super) fn optional<'a, T: Deserialize<'a>>(
        &'a self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, ApiError> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        serde_json::from_str(raw).map(Some).map_err(|_| invalid(name, expected))
    }

    /// Returns the JSON text of a field.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|raw| raw.get()).filter(|json| *json != "null")
    }
}

/// Returns `InvalidField` with the wording of the channels.
pub(super) fn invalid(name: &str, expected: &str) -> ApiError {
    ApiError::detailed(Errno::InvalidField, format_args!("{name} must be {expected}"))
}
