//! Fields of a frame, taken one by one, so that a refusal can name the field.

use std::str::FromStr;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::errno::Errno;
use crate::error::ApiError;
use crate::request::RequestId;

/// The JSON text of a field, where the frame has it and it is not `null`.
pub(crate) type RawField<'a> = Option<&'a RawValue>;

/// Reads a frame into its raw fields.
pub(crate) fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, ApiError> {
    if !text.trim_start().starts_with('{') {
        return Err(Errno::NotJson.into());
    }
    serde_json::from_str(text).map_err(|error| {
        // The only data error of a struct of raw optional fields is a field given twice.
        let errno = if error.is_data() { Errno::InvalidField } else { Errno::NotJson };
        ApiError::detailed(errno, error)
    })
}

pub(crate) fn request_id(raw: RawField<'_>) -> Result<Option<RequestId>, ApiError> {
    let Some(raw) = raw else { return Ok(None) };
    RequestId::parse(raw.get())
        .map(Some)
        .ok_or_else(|| invalid("id", "a string or an integer of at most 128 bytes"))
}

pub(crate) fn invalid(name: &str, wanted: impl std::fmt::Display) -> ApiError {
    ApiError::detailed(Errno::InvalidField, format_args!("{name} must be {wanted}"))
}

pub(crate) fn missing(name: &str) -> ApiError {
    ApiError::detailed(Errno::MissingField, name)
}

/// A field of a type that serde reads.
pub(crate) fn optional<'a, T: Deserialize<'a>>(
    name: &str,
    raw: RawField<'a>,
    wanted: &str,
) -> Result<Option<T>, ApiError> {
    let Some(raw) = raw else { return Ok(None) };
    serde_json::from_str(raw.get()).map(Some).map_err(|_| invalid(name, wanted))
}

pub(crate) fn required<'a, T: Deserialize<'a>>(
    name: &str,
    raw: RawField<'a>,
    wanted: &str,
) -> Result<T, ApiError> {
    optional(name, raw, wanted)?.ok_or_else(|| missing(name))
}

/// A text of at most so many characters.
pub(crate) fn bounded_text(
    name: &str,
    raw: RawField<'_>,
    chars: usize,
) -> Result<Option<String>, ApiError> {
    let wanted = format!("a text of at most {chars} characters");
    let text: Option<String> = optional(name, raw, &wanted)?;
    match text {
        Some(text) if text.chars().nth(chars).is_some() || text.contains('\0') => {
            Err(invalid(name, wanted))
        }
        text => Ok(text),
    }
}

/// A list of ids; what cannot be an id is left out, as an unknown one is.
pub(crate) fn known_ids<T: FromStr>(
    name: &str,
    raw: RawField<'_>,
    most: usize,
) -> Result<Option<Vec<T>>, ApiError> {
    let texts: Option<Vec<String>> = optional(name, raw, "a list of texts")?;
    let Some(texts) = texts else { return Ok(None) };
    if texts.len() > most {
        return Err(ApiError::detailed(
            Errno::TooLarge,
            format_args!("{name} holds at most {most}"),
        ));
    }
    Ok(Some(texts.iter().filter_map(|text| text.parse().ok()).collect()))
}
