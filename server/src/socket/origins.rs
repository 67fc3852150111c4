//! The check of the origin of a page that opens a socket.
//!
//! Browsers let any page open a socket to any server, and send the page's origin with the request.
//! Pages of other origins are therefore refused here. No socket is opened by a credential that a
//! browser adds by itself, so this check is a second protection. Clients that are no browsers send
//! no origin, one of the scheme `ws`, or the address that they connect to, and are accepted.

use poem::http::{HeaderMap, header};
use presence_protocol::{ApiError, Errno};

use crate::origin_pattern::{Origin, OriginPattern};
use crate::settings::Settings;

/// The setting that allows all origins except [`HIDDEN_ORIGIN`].
const ALL_ORIGINS: &str = "*";
/// The origin of every page that hides its own. No setting allows it.
const HIDDEN_ORIGIN: &str = "null";

/// The origins of pages that may open sockets.
#[derive(Debug)]
pub struct AllowedOrigins {
    patterns: Vec<OriginPattern>,
    allows_all: bool,
}

impl AllowedOrigins {
    /// Allows the server's own origins and those of the settings.
    pub fn new(own: &[String], settings: &Settings) -> Self {
        let allowed = &settings.allowed_origins;
        let patterns = own.iter().chain(allowed).map(|text| OriginPattern::parse(text));
        Self {
            patterns: patterns.filter_map(Result::ok).collect(),
            allows_all: allowed.iter().any(|text| text == ALL_ORIGINS),
        }
    }

    /// Accepts a request without an origin, from a client that is no browser, from a page of the
    /// host that the request is for, or from an allowed origin.
    ///
    /// # Errors
    ///
    /// `forbidden`.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = hosts.next().filter(|_| hosts.next().is_none());
        let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
        let mut origins = headers.get_all(header::ORIGIN).iter();
        if origins.all(|origin| origin.to_str().is_ok_and(|origin| self.allows(origin, host))) {
            return Ok(());
        }
        Err(ApiError::detailed(Errno::Forbidden, "pages of this origin may not open sockets"))
    }

    fn allows(&self, origin: &str, host: &str) -> bool {
        if self.allows_all {
            return !origin.eq_ignore_ascii_case(HIDDEN_ORIGIN);
        }
        let Some(origin) = Origin::parse(origin) else { return false };
        origin.is_of_client()
            || origin.has_host(host)
            || self.patterns.iter().any(|pattern| pattern.matches(&origin))
    }
}
