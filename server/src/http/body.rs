//! JSON bodies, read field by field, so that a refusal can name the field.

use std::collections::HashMap;

use poem::error::ReadBodyError;
use poem::http::header;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaMediaType, MetaRequest, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use presence_protocol::{ApiError, Errno};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error_response::ErrorResponse;
use super::request_context;

/// The media type of JSON.
pub(super) const JSON: &str = "application/json";

/// A JSON body. The type is also the body's schema.
pub(super) struct JsonBody<T>(pub(super) T);

/// What can be read from the fields of a JSON object.
pub(super) trait FromFields: Type {
    /// Takes the fields it knows.
    fn from_fields(fields: &Fields<'_>) -> Result<Self, ApiError>
    where
        Self: Sized;
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
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let (text, _) = text(request, body, &[JSON]).await?;
        Ok(Self(read(&text)?))
    }
}

/// Reads an object from its JSON text.
pub(super) fn read<T: FromFields>(text: &str) -> Result<T, ErrorResponse> {
    let fields = serde_json::from_str(text).map_err(|_| Errno::NotJson)?;
    Ok(T::from_fields(&Fields(fields))?)
}

/// The body as text, and which of these media types it is of: of none where it is empty and does not say so.
pub(crate) async fn text(
    request: &Request,
    body: &mut RequestBody,
    media_types: &[&'static str],
) -> Result<(String, Option<&'static str>), ErrorResponse> {
    let text = counted(request, body).await?;
    let known = match media_type(request) {
        Some(given) => media_types.iter().copied().find(|known| *known == given),
        None if text.is_empty() => return Ok((text, None)),
        None => None,
    };
    let known = known.ok_or(Errno::UnsupportedMediaType)?;
    Ok((text, Some(known)))
}

/// The body as text, counted while it is read.
async fn counted(request: &Request, body: &mut RequestBody) -> Result<String, ErrorResponse> {
    let most = request_context::context(request)?.body_limit;
    let body = body.take().map_err(|_| Errno::Internal)?;
    let bytes = body.into_bytes_limit(most).await.map_err(|error| match error {
        ReadBodyError::PayloadTooLarge => {
            ApiError::detailed(Errno::TooLarge, format_args!("a body holds at most {most} bytes"))
        }
        ReadBodyError::BodyHasBeenTaken | ReadBodyError::Utf8(_) | ReadBodyError::Io(_) => {
            ApiError::detailed(Errno::NotJson, "the body could not be read")
        }
    })?;
    String::from_utf8(bytes.into()).map_err(|_| Errno::NotJson.into())
}

/// The media type of the body, lower-cased and without parameters.
fn media_type(request: &Request) -> Option<String> {
    let value = request.header(header::CONTENT_TYPE)?;
    value.split(';').next().map(|name| name.trim().to_ascii_lowercase())
}

/// The fields of an object. One that is `null` counts as absent.
pub(super) struct Fields<'a>(HashMap<String, &'a RawValue>);

impl Fields<'_> {
    /// A field that must be there. `wanted` says what it must be.
    pub(super) fn required<'a, T: Deserialize<'a>>(
        &'a self,
        name: &str,
        wanted: &str,
    ) -> Result<T, ApiError> {
        self.optional(name, wanted)?.ok_or_else(|| ApiError::detailed(Errno::MissingField, name))
    }

    /// A field that may be there.
    pub(super) fn optional<'a, T: Deserialize<'a>>(
        &'a self,
        name: &str,
        wanted: &str,
    ) -> Result<Option<T>, ApiError> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        serde_json::from_str(raw).map(Some).map_err(|_| invalid(name, wanted))
    }

    /// The JSON text of a field.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|raw| raw.get()).filter(|json| *json != "null")
    }
}

/// `invalid_field`, in the words that the channels use.
pub(super) fn invalid(name: &str, wanted: &str) -> ApiError {
    ApiError::detailed(Errno::InvalidField, format_args!("{name} must be {wanted}"))
}
