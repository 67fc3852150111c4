//! The guard of a server in development mode, where anyone can sign in as any user.
//!
//! Such a server listens on loopback only. A page of another site can still reach it: by a name
//! that its owner first resolves to the own server and then to 127.0.0.1 (DNS rebinding). A proxy
//! or a tunnel on the same machine can make it public. The first is recognised by the name in the
//! request, the second by the headers of proxies.

use std::net::{IpAddr, SocketAddr};

use poem::Request;
use poem::http::uri::Authority;
use poem::http::{HeaderMap, header};
use presence_protocol::{ApiError, Errno};
use url::Host;

use crate::settings::values::is_loopback;

/// The headers in which proxies name the client, or a list of clients and proxies.
const ADDRESS_HEADERS: [&str; 5] =
    ["x-forwarded-for", "x-real-ip", "x-client-ip", "cf-connecting-ip", "true-client-ip"];
/// The header in which proxies name the host that the client asked for.
const HOST_HEADER: &str = "x-forwarded-host";
/// The header of RFC 7239, which holds both.
const FORWARDED: &str = "forwarded";

/// Accepts a request from this machine to a name of this machine. A request without a name does
/// not come from a browser.
///
/// # Errors
///
/// `forbidden`.
pub(crate) fn check(request: &Request) -> Result<(), ApiError> {
    let headers = request.headers();
    let target = request.uri().authority().map(Authority::as_str);
    let hosts = values(headers, header::HOST.as_str()).chain(target);
    if !hosts.chain(values(headers, HOST_HEADER)).all(is_local_host) {
        let problem = "a server in development mode answers to localhost and 127.0.0.1 only";
        return Err(ApiError::detailed(Errno::Forbidden, problem));
    }
    let mut addresses = ADDRESS_HEADERS.iter().flat_map(|name| values(headers, name));
    if !addresses.all(is_local_address) || !values(headers, FORWARDED).all(is_local_element) {
        let problem = "a server in development mode serves no requests of other machines";
        return Err(ApiError::detailed(Errno::Forbidden, problem));
    }
    Ok(())
}

/// Returns the elements of all headers of a name. A value that is no text becomes an empty element.
fn values<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter();
    values.flat_map(|value| value.to_str().unwrap_or("").split(',')).map(str::trim)
}

/// Returns true for a loopback host with or without a port.
fn is_local_host(text: &str) -> bool {
    let host = match text.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => text,
    };
    Host::parse(host).is_ok_and(|host| is_loopback(&host))
}

/// Returns true for a loopback address with or without a port.
fn is_local_address(text: &str) -> bool {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok();
    let address = address.or_else(|| text.parse().ok().map(|peer: SocketAddr| peer.ip()));
    address.is_some_and(|address: IpAddr| address.to_canonical().is_loopback())
}

/// Returns true if an element of `Forwarded` names this machine only.
fn is_local_element(element: &str) -> bool {
    let mut parameters = element.split(';').filter_map(|parameter| parameter.split_once('='));
    parameters.all(|(name, value)| {
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "for" => is_local_address(value),
            "host" => is_local_host(value),
            _ => true,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_accepted(name: &str, value: &str) -> bool {
        check(&Request::builder().header(name, value).finish()).is_ok()
    }

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for own in ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "[::1]:8080", "a.localhost"] {
            assert!(is_accepted("host", own), "{own}");
        }
        for foreign in [
            "",
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.168.1.5:8080",
            "0.0.0.0:8080",
            "[::]:8080",
            "mylocalhost",
        ] {
            assert!(!is_accepted("host", foreign), "{foreign}");
        }
        let target = Request::builder().uri_str("http://evil.example/").finish();
        assert!(check(&target).is_err() && check(&Request::builder().finish()).is_ok());
    }

    #[test]
    fn requests_that_a_proxy_forwards_for_another_machine_are_refused() {
        for (name, value) in [
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-for", "[::1]:4711, 127.0.0.1"),
            ("x-forwarded-host", "localhost:5173"),
            ("x-forwarded-proto", "http"),
            ("forwarded", "for=127.0.0.1;proto=http, for=\"[::1]:80\";host=localhost"),
        ] {
            assert!(is_accepted(name, value), "{name}: {value}");
        }
        for (name, value) in [
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-for", "127.0.0.1, 203.0.113.9"),
            ("x-forwarded-for", "unknown"),
            ("x-forwarded-for", ""),
            ("x-real-ip", "203.0.113.9"),
            ("cf-connecting-ip", "2001:db8::1"),
            ("x-forwarded-host", "presence.example.org"),
            ("forwarded", "for=203.0.113.9"),
            ("forwarded", "for=127.0.0.1, for=_hidden"),
            ("forwarded", "host=presence.example.org"),
        ] {
            assert!(!is_accepted(name, value), "{name}: {value}");
        }
    }
}
