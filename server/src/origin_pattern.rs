//! Origins of pages, and patterns of origins that an operator allows.

use url::{Host, Url};

/// The beginning of a host that stands for all names below a domain.
const WILDCARD: &str = "*.";
/// The schemes of the web, which have default ports.
const WEB_SCHEMES: [&str; 2] = ["http", "https"];

/// The origin in a request, as clients write it: `https://app.example.org`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    scheme: String,
    host: String,
    /// The port, or that of the scheme.
    port: Option<u16>,
}

impl Origin {
    /// Parses an origin. Anything after the port, a user and `null` are no origin.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_lowercase())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        let (host, port) = split_port(authority)?;
        let is_host = !host.is_empty() && !host.contains(['/', '\\', '?', '#', '@', ' ', '*']);
        let host = host.to_ascii_lowercase();
        let port = port.or_else(|| default_port(&scheme));
        (is_scheme && is_host).then_some(Self { scheme, host, port })
    }

    /// Returns true for an origin of a WebSocket client that is no browser: a page has none of
    /// these schemes.
    pub(crate) fn is_of_client(&self) -> bool {
        matches!(self.scheme.as_str(), "ws" | "wss")
    }

    /// Returns true if the origin has the host and the port of a request's `Host`. A `Host` without
    /// a port has the default port of the origin.
    pub(crate) fn has_host(&self, host: &str) -> bool {
        let Some((host, port)) = split_port(host) else { return false };
        let is_web = WEB_SCHEMES.contains(&self.scheme.as_str());
        let port = port.or_else(|| default_port(&self.scheme));
        is_web && host.eq_ignore_ascii_case(&self.host) && port == self.port
    }
}

/// A pattern of origins: one origin, or `https://*.example.org` for all names below a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OriginPattern {
    /// The origin, or that of the domain.
    origin: Origin,
    includes_names_below: bool,
}

impl OriginPattern {
    /// Parses a pattern.
    ///
    /// # Errors
    ///
    /// The reason, if no client can send an origin that matches.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err("is not an origin such as https://example.org");
        };
        if scheme.eq_ignore_ascii_case("file") {
            return Err("never matches: browsers send the origin null for files, which is refused");
        }
        let domain = rest.strip_prefix(WILDCARD);
        let rest = domain.unwrap_or(rest);
        if rest.contains('*') {
            return Err("may have * only as the first label, as in https://*.example.org");
        }
        let text = format!("{scheme}://{rest}");
        let is_web = WEB_SCHEMES.iter().any(|web| web.eq_ignore_ascii_case(scheme));
        let origin = if is_web { web_origin(&text) } else { Origin::parse(&text) };
        let origin = origin.ok_or("is not an origin such as https://example.org")?;
        let is_domain = origin.host == "localhost"
            || (origin.host.contains('.')
                && matches!(Host::parse(&origin.host), Ok(Host::Domain(_))));
        if domain.is_some() && !(is_web && is_domain) {
            return Err("may have * only before a domain of the web, as in https://*.example.org");
        }
        Ok(Self { origin, includes_names_below: domain.is_some() })
    }

    /// Returns true if an origin matches.
    pub(crate) fn matches(&self, origin: &Origin) -> bool {
        let own = &self.origin;
        if !self.includes_names_below {
            return own == origin;
        }
        let name = origin.host.strip_suffix(own.host.as_str());
        let is_below = name.is_some_and(|name| name.len() > 1 && name.ends_with('.'));
        is_below && own.scheme == origin.scheme && own.port == origin.port
    }
}

/// Parses an origin of the web as browsers do, with or without a slash at its end.
fn web_origin(text: &str) -> Option<Origin> {
    let url = Url::parse(text).ok()?;
    let is_bare = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    is_bare.then(|| Origin::parse(&url.origin().ascii_serialization()))?
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

/// Splits a host from its port, if it has one. The host of an IPv6 address keeps its brackets.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => Some((host, Some(port.parse().ok()?))),
        _ => Some((authority, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(pattern: &str, origin: &str) -> bool {
        let pattern = OriginPattern::parse(pattern).unwrap();
        Origin::parse(origin).is_some_and(|origin| pattern.matches(&origin))
    }

    #[test]
    fn a_pattern_without_a_wildcard_matches_one_origin() {
        assert!(allows("https://app.example", "https://app.example"));
        assert!(allows("https://APP.example:443/", "https://app.example"));
        assert!(allows("capacitor://localhost", "capacitor://localhost"));
        assert!(allows("chrome-extension://abcdef", "chrome-extension://abcdef"));
        for other in [
            "http://app.example",
            "https://app.example:8443",
            "https://www.app.example",
            "https://app.example/",
            "https://user@app.example",
            "null",
            "",
        ] {
            assert!(!allows("https://app.example", other), "{other}");
        }
        assert!(!allows("capacitor://localhost", "http://localhost"));
    }

    #[test]
    fn a_wildcard_matches_the_names_below_a_domain() {
        for name in ["https://app.example.org", "https://a.b.example.org"] {
            assert!(allows("https://*.example.org", name), "{name}");
        }
        for other in [
            "https://example.org",
            "https://.example.org",
            "https://badexample.org",
            "http://app.example.org",
            "https://app.example.org:8443",
            "https://app.example.org.evil.example",
            "https://*.example.org",
        ] {
            assert!(!allows("https://*.example.org", other), "{other}");
        }
        assert!(allows("http://*.localhost:3000", "http://app.localhost:3000"));
    }

    #[test]
    fn a_pattern_that_never_matches_is_refused() {
        for pattern in [
            "null",
            "*.example.org",
            "app.example.org",
            "https://",
            "https://*",
            "https://*.org",
            "https://app.*.org",
            "https://*app.example.org",
            "https://*.*.example.org",
            "https://*.127.0.0.1",
            "https://app.example.org:*",
            "https://app.example.org/path",
            "https://user@app.example.org",
            "capacitor://*",
            "capacitor://*.localhost",
            "capacitor://localhost/",
            "file://",
            "file:///app",
            "",
        ] {
            assert!(OriginPattern::parse(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn a_host_is_compared_with_its_port() {
        let has = |origin: &str, host: &str| Origin::parse(origin).unwrap().has_host(host);
        assert!(has("http://a.example", "a.example") && has("https://a.example", "A.example"));
        assert!(has("https://a.example", "a.example:443") && has("http://[::1]:80", "[::1]"));
        assert!(has("http://127.0.0.1:8080", "127.0.0.1:8080"));
        assert!(
            !has("http://127.0.0.1", "127.0.0.1:8080") && !has("http://b.example", "a.example")
        );
        assert!(!has("capacitor://a.example", "a.example"));
    }
}
