//! The URL of the server.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::{Authority, Scheme};

use crate::error::Error;

/// The URL of a Presence server, such as `https://presence.example`: a host, and optionally a port
/// and a path prefix. `http` is for development.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl {
    secure: bool,
    authority: Authority,
    prefix: String,
}

impl ServerUrl {
    /// Returns true if the scheme is `https`.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Returns the URL of a WebSocket with a path such as `/presence`.
    pub(crate) fn socket(&self, path: &str) -> Result<Uri, Error> {
        self.url(if self.secure { "wss" } else { "ws" }, path)
    }

    /// Returns the URL of a REST call with a path such as `/session` and its query.
    pub(crate) fn rest(&self, path: &str) -> Result<Uri, Error> {
        self.url(if self.secure { "https" } else { "http" }, path)
    }

    fn url(&self, scheme: &str, path: &str) -> Result<Uri, Error> {
        Uri::builder()
            .scheme(scheme)
            .authority(self.authority.clone())
            .path_and_query(format!("{}{path}", self.prefix))
            .build()
            .map_err(|error| Error::InvalidArgument(format!("the URL is not valid: {error}")))
    }
}

impl FromStr for ServerUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid =
            |reason: &str| Err(Error::InvalidArgument(format!("the URL of the server {reason}")));
        let Ok(uri) = text.parse::<Uri>() else { return invalid("is not a URL") };
        let secure = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(_) | None => {
                return invalid("must begin with https:// (or http:// in development)");
            }
        };
        let Some(authority) = uri.authority().filter(|authority| !authority.host().is_empty())
        else {
            return invalid("has no host");
        };
        let port = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
        if !port.is_empty() && authority.port_u16().is_none_or(|port| port == 0) {
            return invalid("has an invalid port");
        }
        if authority.as_str().contains('@') {
            return invalid("must not name a user");
        }
        if uri.query().is_some() || text.contains('#') {
            return invalid("must have no query and no fragment");
        }
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { secure, authority: authority.clone(), prefix })
    }
}

impl TryFrom<&str> for ServerUrl {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self, Error> {
        text.parse()
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_may_have_a_port_and_a_path_and_ends_without_a_slash() {
        for (given, shown) in [
            ("https://presence.example", "https://presence.example"),
            ("https://presence.example/", "https://presence.example"),
            (
                "https://presence.example:8443/below/here/",
                "https://presence.example:8443/below/here",
            ),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(given.parse::<ServerUrl>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn an_invalid_server_url_is_refused() {
        for given in [
            "",
            "presence.example",
            "ftp://presence.example",
            "https://",
            "https://u:p@presence.example",
            "https://presence.example/?a=b",
            "https://presence.example/#a",
            "https://a b/",
            "https://presence.example:99999/",
            "https://presence.example:0/",
            "https://presence.example:/",
            "http://[::1]:65536",
        ] {
            assert!(given.parse::<ServerUrl>().is_err(), "{given}");
        }
    }

    #[test]
    fn the_urls_of_sockets_and_calls_have_the_path_prefix() {
        let url: ServerUrl = "https://presence.example/below".parse().unwrap();
        assert_eq!(url.socket("/presence").unwrap(), "wss://presence.example/below/presence");
        assert_eq!(url.rest("/grants?a=b").unwrap(), "https://presence.example/below/grants?a=b");
    }
}
