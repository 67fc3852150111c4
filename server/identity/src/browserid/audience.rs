//! The audience of an assertion: an origin, compared by scheme, host and port (rule 17).
//!
//! There is no URL parser and there are no patterns: every text that is not a bare origin is
//! rejected, in the settings and in assertions.

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

/// The error for a text that is not a bare origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an origin: expected something like https://presence.example or http://localhost:8080")]
pub struct InvalidAudience;

impl Audience {
    /// Parses a bare origin: a scheme, a lower-case host or an address, optionally a port and one
    /// trailing `/`.
    ///
    /// # Errors
    /// [`InvalidAudience`] for any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidAudience> {
        Self::read(text).ok_or(InvalidAudience)
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

/// Splits the text at the colon before the port. Colons within brackets belong to an IPv6 address.
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

    /// Holds rule 17.
    #[test]
    fn a_default_port_and_a_trailing_slash_do_not_change_an_audience() {
        let plain = Audience::parse("https://presence.example").unwrap();
        assert_eq!(Audience::parse("https://presence.example:443/"), Ok(plain.clone()));
        assert_ne!(Audience::parse("https://presence.example:80"), Ok(plain.clone()));
        assert_ne!(Audience::parse("http://presence.example:443"), Ok(plain));
    }

    #[test]
    fn an_ip_address_is_an_audience_too() {
        let long = Audience::parse("http://[0:0:0:0:0:0:0:1]:8080").unwrap();
        assert_eq!(Audience::parse("http://[::1]:8080"), Ok(long));
        assert!(Audience::parse("http://127.0.0.1:8080").is_ok());
    }

    /// Holds rule 17 and threat 4.
    #[test]
    fn an_audience_that_is_not_a_bare_origin_is_rejected() {
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
            assert_eq!(Audience::parse(text), Err(InvalidAudience), "{text:?}");
        }
    }
}
