//! The fields of a frame, read one by one, so that an error can name the field.

use std::str::FromStr;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::errno::Errno;
use crate::error::ApiError;
use crate::request::RequestId;
use crate::text::{TEXT_RULE, displays_as_written};

/// The JSON text of a field, if the frame has the field and it is not `null`.
pub(crate) type RawField<'a> = Option<&'a RawValue>;

/// Parses a frame into its raw fields.
pub(crate) fn parse_object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, ApiError> {
    if !text.trim_start().starts_with('{') {
        return Err(Errno::NotJson.into());
    }
    serde_json::from_str(text).map_err(|error| {
        // The only data error of a struct of raw optional fields is a repeated field.
        let errno = if error.is_data() { Errno::InvalidField } else { Errno::NotJson };
        ApiError::detailed(errno, error)
    })
}

pub(crate) fn request_id(raw: RawField<'_>) -> Result<Option<RequestId>, ApiError> {
    let Some(raw) = raw else { return Ok(None) };
    RequestId::parse(raw.get())
        .map(Some)
        .ok_or_else(|| invalid("id", "a string or an integer of at most 128 characters"))
}

pub(crate) fn invalid(name: &str, expected: impl std::fmt::Display) -> ApiError {
    ApiError::detailed(Errno::InvalidField, format_args!("{name} must be {expected}"))
}

pub(crate) fn missing(name: &str) -> ApiError {
    ApiError::detailed(Errno::MissingField, name)
}

/// Reads an optional field.
pub(crate) fn optional<'a, T: Deserialize<'a>>(
    name: &str,
    raw: RawField<'a>,
    expected: &str,
) -> Result<Option<T>, ApiError> {
    let Some(raw) = raw else { return Ok(None) };
    serde_json::from_str(raw.get()).map(Some).map_err(|_| invalid(name, expected))
}

pub(crate) fn required<'a, T: Deserialize<'a>>(
    name: &str,
    raw: RawField<'a>,
    expected: &str,
) -> Result<T, ApiError> {
    optional(name, raw, expected)?.ok_or_else(|| missing(name))
}

/// Reads an optional string of at most `chars` characters.
pub(crate) fn bounded_text(
    name: &str,
    raw: RawField<'_>,
    chars: usize,
) -> Result<Option<String>, ApiError> {
    let expected = format!("a string of at most {chars} characters");
    let text: Option<String> = optional(name, raw, &expected)?;
    match text {
        Some(text) if text.chars().nth(chars).is_some() || text.contains('\0') => {
            Err(invalid(name, expected))
        }
        text => Ok(text),
    }
}

/// Reads an optional string of at most `chars` characters that others see.
pub(crate) fn display_text(
    name: &str,
    raw: RawField<'_>,
    chars: usize,
) -> Result<Option<String>, ApiError> {
    let text = bounded_text(name, raw, chars)?;
    match text {
        Some(text) if !displays_as_written(&text) => {
            Err(invalid(name, format_args!("a string {TEXT_RULE}")))
        }
        text => Ok(text),
    }
}

/// Reads an optional list of ids. Invalid ids and integers are left out, like unknown ones.
pub(crate) fn valid_ids<T: FromStr>(
    name: &str,
    raw: RawField<'_>,
    max: usize,
) -> Result<Option<Vec<T>>, ApiError> {
    let expected = "a list of strings";
    let ids: Option<Vec<Value>> = optional(name, raw, expected)?;
    let Some(ids) = ids else { return Ok(None) };
    if ids.len() > max {
        return Err(ApiError::detailed(
            Errno::TooLarge,
            format_args!("{name} may have at most {max} items"),
        ));
    }
    let mut valid = Vec::with_capacity(ids.len());
    for id in ids {
        match id {
            Value::String(text) => valid.extend(text.parse::<T>().ok()),
            // Clients of 2013 have integers.
            Value::Number(number) if !number.is_f64() => {}
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => return Err(invalid(name, expected)),
        }
    }
    Ok(Some(valid))
}
