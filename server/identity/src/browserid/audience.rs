//! Whom an assertion is made for: an origin, compared by scheme, host and port (rule 17).
//!
//! Deliberately no URL parser and no patterns: everything that is not plainly an origin is refused,
//! on our side as on theirs.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::names;

/// An origin, such as `https://presence.example` or `http://localhost:8080`.
///
/// The server's own audiences come from its configuration, never from a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Audience {
    scheme: Scheme,
    host: Host,
    port: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Scheme {
    Http,
    Https,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Host {
    Name(String),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

/// The text is not a bare origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an origin: expected something like https://presence.example or http://localhost:8080")]
pub struct NotAnAudience;

impl Audience {
    /// Reads a bare origin: scheme, lower-case host or address, optionally a port and one closing
    /// `/`.
    ///
    /// # Errors
    /// Refuses anything more or less than that.
    pub fn parse(text: &str) -> Result<Self, NotAnAudience> {
        Self::read(text).ok_or(NotAnAudience)
    }

    fn read(text: &str) -> Option<Self> {
        let (scheme, default_port, rest) = match text.strip_prefix("https://") {
            Some(rest) => (Scheme::Https, 443, rest),
            None => (Scheme::Http, 80, text.strip_prefix("http://")?),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = split_port(authority)?;
        let port = match port {
            Some(port) if names::is_port(port) => port.parse().ok()?,
            Some(_) => return None,
            None => default_port,
        };
        Some(Self { scheme, host: Host::read(host)?, port })
    }
}

/// Splits at the colon before the port, which an IPv6 address in brackets does not have inside.
fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    if !authority.starts_with('[') {
        return Some(match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        });
    }
    let end = authority.find(']')?.checked_add(1)?;
    let (host, rest) = authority.split_at_checked(end)?;
    if rest.is_empty() {
        return Some((host, None));
    }
    Some((host, Some(rest.strip_prefix(':')?)))
}

impl Host {
    fn read(text: &str) -> Option<Self> {
        if let Some(inside) = text.strip_prefix('[') {
            return inside.strip_suffix(']')?.parse().ok().map(Self::V6);
        }
        if let Ok(address) = text.parse() {
            return Some(Self::V4(address));
        }
        names::is_name(text).then(|| Self::Name(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_ports_and_a_closing_slash_make_no_difference() {
        let plain = Audience::parse("https://presence.example").unwrap();
        assert_eq!(Audience::parse("https://presence.example:443/"), Ok(plain.clone()));
        assert_ne!(Audience::parse("https://presence.example:80"), Ok(plain.clone()));
        assert_ne!(Audience::parse("http://presence.example:443"), Ok(plain));
    }

    #[test]
    fn addresses_are_audiences_too() {
        let long = Audience::parse("http://[0:0:0:0:0:0:0:1]:8080").unwrap();
        assert_eq!(Audience::parse("http://[::1]:8080"), Ok(long));
        assert!(Audience::parse("http://127.0.0.1:8080").is_ok());
    }

    #[test]
    fn what_is_not_an_origin_is_refused() {
        for text in [
            "",
            "*",
            "https://",
            "https:///",
            "https://*",
            "https://*.example",
            "HTTPS://a.example",
            "https://A.example",
            "https://a.example.",
            "https://a.example/x",
            "https://a.example//",
            "https://a.example?",
            "https://a.example#",
            "https://x@a.example",
            "https://a.example:",
            "https://a.example:0",
            "https://a.example:0443",
            "https://a.example:+443",
            "https://a.example:65536",
            "https://a.example\\",
            "https://a.example\n",
            " https://a.example",
            "https://127.1",
            "https://0x7f.0.0.1",
            "https://[::1",
            "https://[::1]443",
            "https://[]",
            "https://[fe80::1%25eth0]",
            "ws://a.example",
            "a.example",
        ] {
            assert_eq!(Audience::parse(text), Err(NotAnAudience), "{text:?}");
        }
    }
}
