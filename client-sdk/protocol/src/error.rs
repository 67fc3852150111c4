//! The error of a refused request, as it is written and read.

use std::borrow::Cow;
use std::fmt;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use crate::errno::{Errno, RetryAdvice};
use crate::lenient::lenient;
use crate::request::RequestId;

/// The error of a refused request, on both channels and in the REST API:
/// `{"result":"KO","errno":N,"error":"text"}`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{text}")]
pub struct ApiError {
    /// The entry of the registry.
    pub errno: Errno,
    /// The text for people. It never holds a secret or an e-mail address.
    pub text: Cow<'static, str>,
    /// The seconds to wait before the next attempt, if the call may succeed later.
    pub retry_after: Option<f64>,
}

impl ApiError {
    /// Creates an error with the text of the registry and a detail, such as the name of the field.
    pub fn detailed(errno: Errno, detail: impl fmt::Display) -> Self {
        Self { errno, text: Cow::Owned(format!("{}: {detail}", errno.text())), retry_after: None }
    }

    /// Creates a `slow_down` error with the seconds to wait.
    pub fn slow_down(retry_after: f64) -> Self {
        Self::from(Errno::SlowDown).with_retry_after(retry_after)
    }

    /// Sets the seconds to wait.
    #[must_use]
    pub fn with_retry_after(self, seconds: f64) -> Self {
        Self { retry_after: Some((seconds * 1000.0).ceil() / 1000.0), ..self }
    }

    /// Returns the advice to the client: that of the registry, and for an unknown error to wait if
    /// the server named a wait.
    pub fn retry_advice(&self) -> RetryAdvice {
        match (self.errno, self.retry_after) {
            (Errno::Unknown(_), Some(_)) => RetryAdvice::AfterWaiting,
            (errno, _) => errno.retry_advice(),
        }
    }

    /// Returns the JSON text, with the `id` of the request if it had one.
    pub fn to_json(&self, id: Option<&RequestId>) -> String {
        serde_json::to_string(&ErrorReply { error: self, id })
            .unwrap_or_else(|_| r#"{"result":"KO","errno":50,"error":"Internal error"}"#.to_owned())
    }

    pub(crate) fn serialize_entries<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("result", "KO")?;
        map.serialize_entry("errno", &self.errno.number())?;
        map.serialize_entry("error", &self.text)?;
        if let Some(seconds) = self.retry_after {
            map.serialize_entry("retry_after", &seconds)?;
        }
        Ok(())
    }
}

impl From<Errno> for ApiError {
    fn from(errno: Errno) -> Self {
        Self { errno, text: Cow::Borrowed(errno.text()), retry_after: None }
    }
}

struct ErrorReply<'a> {
    error: &'a ApiError,
    id: Option<&'a RequestId>,
}

impl Serialize for ErrorReply<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.error.serialize_entries(&mut map)?;
        if let Some(id) = self.id {
            map.serialize_entry("id", id)?;
        }
        map.end()
    }
}

/// A reply of the server as it is read: `result`, `id` and the error, if it is one. A field of an
/// unknown form is absent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RawReply {
    #[serde(deserialize_with = "lenient")]
    result: Option<String>,
    #[serde(deserialize_with = "lenient")]
    errno: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    error: Option<String>,
    #[serde(deserialize_with = "lenient")]
    retry_after: Option<f64>,
    #[serde(deserialize_with = "lenient")]
    id: Option<u64>,
}

impl RawReply {
    /// Returns true for `OK`, false for `KO` and for a result that this version does not know, and
    /// `None` without a result.
    pub fn is_ok(&self) -> Option<bool> {
        self.result.as_deref().map(|result| result == "OK")
    }

    /// Returns true for `KO`.
    pub fn is_ko(&self) -> bool {
        self.result.as_deref() == Some("KO")
    }

    /// Returns the `id` of the request, if it is a number.
    pub fn numeric_id(&self) -> Option<u64> {
        self.id
    }

    /// Returns the error; `None` without a number. An error of a newer server has its own number
    /// and text.
    pub fn into_error(self) -> Option<ApiError> {
        self.errno.is_some().then(|| self.into_refusal())
    }

    /// Returns the error of a reply that is no `OK`. Without a number it is the unknown error 0.
    pub fn into_refusal(self) -> ApiError {
        let number = u16::try_from(self.errno.unwrap_or_default()).unwrap_or(u16::MAX);
        let errno = Errno::from_number(number).unwrap_or(Errno::Unknown(number));
        let text = self.error.map_or(Cow::Borrowed(errno.text()), Cow::Owned);
        ApiError { errno, text, retry_after: self.retry_after }
    }
}

/// The error of a request that was rejected, and its `id` if it could be read.
pub type RejectedRequest = (ApiError, Option<RequestId>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_the_format_of_2013() {
        let error = ApiError::from(Errno::InvalidAssertion);
        assert_eq!(
            error.to_json(None),
            r#"{"result":"KO","errno":34,"error":"Invalid assertion"}"#
        );
    }

    #[test]
    fn an_error_repeats_the_id_and_has_the_seconds_to_wait() {
        let id = RequestId::parse("7").unwrap();
        assert_eq!(
            ApiError::slow_down(0.25).to_json(Some(&id)),
            r#"{"result":"KO","errno":20,"error":"Slow down","retry_after":0.25,"id":7}"#
        );
    }

    #[test]
    fn an_error_of_a_newer_server_keeps_its_number_its_text_and_its_wait() {
        let read = |text: &str| serde_json::from_str::<RawReply>(text).unwrap().into_refusal();
        let error = read(r#"{"result":"KO","errno":77,"error":"Full moon","retry_after":2.5}"#);
        assert_eq!((error.errno, &*error.text), (Errno::Unknown(77), "Full moon"));
        assert_eq!(error.retry_after, Some(2.5));
        assert_eq!(error.retry_advice(), RetryAdvice::AfterWaiting);
        let error = read(r#"{"result":"KO","errno":77,"error":"Full moon"}"#);
        assert_eq!(error.retry_advice(), RetryAdvice::Never);
        assert_eq!(read(r#"{"result":"KO","errno":99999}"#).errno, Errno::Unknown(u16::MAX));
        assert_eq!(read(r#"{"result":"KO","errno":"x","error":[]}"#).errno, Errno::Unknown(0));
        let text = ApiError::from(Errno::Unknown(77)).to_json(None);
        assert_eq!(read(&text).errno, Errno::Unknown(77));
    }
}
