//! The id of a request: it is in the header of the response and in each log line about the request,
//! so that an operator finds the lines for what a client reports.

use std::fmt;

use poem::http::{HeaderName, HeaderValue};
use tracing::Span;

/// The header of a response.
const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request. It is random, since a counter would show how busy the server is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestId(u64);

impl RequestId {
    /// Returns a new id.
    pub(crate) fn random() -> Self {
        Self(rand::random())
    }

    /// Creates the span of the request. It has the highest level, so that it exists for whatever is
    /// logged.
    pub(crate) fn span(self) -> Span {
        tracing::error_span!(parent: None, "request", request.id = %self)
    }

    /// Returns the header of the response.
    pub(crate) fn header(self) -> Option<(HeaderName, HeaderValue)> {
        Some((HEADER, HeaderValue::from_str(&self.to_string()).ok()?))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
