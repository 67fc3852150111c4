//! Parsers of values that more than one part of the settings needs.

use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

/// The prefix of environment variables: `--status-burst` is `PRESENCE_STATUS_BURST`.
pub(super) const ENVIRONMENT_PREFIX: &str = "PRESENCE_";

/// Parses an origin such as `https://presence.example.org`.
pub(super) fn origin(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    (is_without_secrets(&url) && url.path() == "/").then_some(url)
}

/// Returns true for a URL of HTTP that has no place for a secret.
pub(super) fn is_without_secrets(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

/// Returns true if only programs on the same machine can use a host: an address of loopback, or a
/// name below `localhost`, which never leaves the machine (RFC 6761).
pub(crate) fn is_loopback<Name: AsRef<str>>(host: &Host<Name>) -> bool {
    match host {
        Host::Domain(name) => {
            let name = name.as_ref();
            name == "localhost" || name.ends_with(".localhost")
        }
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// Parses a network in CIDR form, or an address as a network of one address.
pub(super) fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}
