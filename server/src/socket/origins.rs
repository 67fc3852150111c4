//! The check of the origin of a page that opens a socket.
//!
//! Browsers let any page open a socket to any server, and send the page's origin with the request.
//! Pages of other origins are therefore refused here. Other clients send no origin, and are
//! accepted.

use std::collections::HashSet;

use poem::http::{HeaderMap, header};
use presence_protocol::{ApiError, Errno};
use url::Url;

use crate::settings::Settings;

/// The setting that allows all origins.
const ALL_ORIGINS: &str = "*";

/// The origins of pages that may open sockets.
#[derive(Debug)]
pub struct AllowedOrigins {
    known: HashSet<String>,
    allows_all: bool,
}

impl AllowedOrigins {
    /// Allows the server's own origins and those of the settings.
    pub fn new(own: Vec<String>, settings: &Settings) -> Self {
        let allowed = &settings.allowed_origins;
        let others = allowed.iter().filter_map(|text| Url::parse(text).ok());
        let others = others.map(|url| url.origin().ascii_serialization());
        Self {
            known: own.into_iter().chain(others).collect(),
            allows_all: allowed.iter().any(|text| text == ALL_ORIGINS),
        }
    }

    /// Accepts a request without an origin, or from an allowed origin.
    ///
    /// # Errors
    ///
    /// `forbidden`.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let is_known = |origin: &header::HeaderValue| {
            origin.to_str().is_ok_and(|origin| self.known.contains(origin))
        };
        if self.allows_all || origins.all(is_known) {
            return Ok(());
        }
        Err(ApiError::detailed(Errno::Forbidden, "pages of this origin may not open sockets"))
    }
}
