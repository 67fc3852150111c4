//! Which pages may open sockets.
//!
//! A browser tells with every socket from which origin the page comes that opens it, and lets any page open one. So a page of somebody
//! else is refused here, before it can say anything. What is no browser tells no origin, and is let in.

use std::collections::HashSet;

use poem::http::{HeaderMap, header};
use presence_protocol::{ApiError, Errno};
use url::Url;

use crate::settings::Settings;

/// Stands for all origins.
const ALL: &str = "*";

/// The origins of pages that may open sockets.
#[derive(Debug)]
pub struct Origins {
    known: HashSet<String>,
    all: bool,
}

impl Origins {
    /// The server's own, and those of the settings.
    pub fn of(own: Vec<String>, settings: &Settings) -> Self {
        let allowed = &settings.allowed_origins;
        let others = allowed.iter().filter_map(|text| Url::parse(text).ok());
        let others = others.map(|url| url.origin().ascii_serialization());
        Self {
            known: own.into_iter().chain(others).collect(),
            all: allowed.iter().any(|text| text == ALL),
        }
    }

    /// Lets a request in that comes from no page, or from one of these.
    ///
    /// # Errors
    ///
    /// `forbidden`.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let mut told = headers.get_all(header::ORIGIN).iter();
        let is_known = |origin: &header::HeaderValue| {
            origin.to_str().is_ok_and(|origin| self.known.contains(origin))
        };
        if self.all || told.all(is_known) {
            return Ok(());
        }
        Err(ApiError::detailed(Errno::Forbidden, "pages of this origin may not open sockets"))
    }
}
