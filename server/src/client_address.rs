//! The address of a request's client: the peer, or the address that a trusted proxy reports.
//!
//! Only `X-Forwarded-For` is read, and not `Forwarded`: one header that every proxy must clean is
//! safer than two. Each proxy appends the address that called it. The header is therefore read from
//! its end, over all addresses of trusted proxies, and the first other address is the client. Any
//! address before that one may have been invented by the client.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;
use poem::Request;
use poem::http::HeaderMap;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The networks of the proxies whose `X-Forwarded-For` is trusted.
#[derive(Debug, Clone, Default)]
pub(crate) struct TrustedProxies(Vec<IpNet>);

/// The address of a request's client, stored with the request if it is not the peer.
#[derive(Debug, Clone, Copy)]
struct ForwardedClient(IpAddr);

impl FromIterator<IpNet> for TrustedProxies {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        Self(networks.into_iter().collect())
    }
}

impl TrustedProxies {
    /// Finds the address of a request's client, and stores it with the request.
    pub(crate) fn record_client(&self, request: &mut Request) {
        let peer = peer(request);
        let client = self.client(peer, request.headers());
        if client != peer {
            request.set_data(ForwardedClient(client));
        }
    }

    /// Returns the client of a request from `peer`.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let forwarded = headers.get_all(FORWARDED_FOR);
        let mut forwarded: Vec<&str> =
            forwarded.iter().flat_map(|value| value.to_str().unwrap_or("").split(',')).collect();
        while self.contains(client) {
            // A text that is no address did not come from a proxy that saw a connection.
            let Some(previous) = forwarded.pop().and_then(parse_address) else { break };
            client = previous;
        }
        client
    }

    /// Returns true if a request comes from a trusted proxy.
    pub(crate) fn is_peer_of(&self, request: &Request) -> bool {
        self.contains(peer(request))
    }

    /// Returns true for the address of a trusted proxy.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// Returns the address of a request's client, or the unspecified address if it is unknown.
pub(crate) fn of(request: &Request) -> IpAddr {
    request.data().map_or_else(|| peer(request), |ForwardedClient(address)| *address)
}

fn peer(request: &Request) -> IpAddr {
    let peer = request.remote_addr().as_socket_addr();
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip().to_canonical())
}

/// Parses an address, which some proxies write with its port or in brackets.
fn parse_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse().ok().map(|peer: SocketAddr| peer.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    fn client(peer: &str, forwarded: &[&str]) -> String {
        let networks = ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"];
        let proxies: TrustedProxies = networks.iter().map(|text| text.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(value).unwrap());
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn the_header_is_read_from_the_end_over_all_trusted_proxies() {
        assert_eq!(client("10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(client("10.0.0.1", &["1.1.1.1, 203.0.113.9"]), "203.0.113.9");
        assert_eq!(client("10.0.0.1", &["1.1.1.1, 203.0.113.9, 192.0.2.7"]), "203.0.113.9");
        assert_eq!(client("10.0.0.1", &["1.1.1.1", "203.0.113.9 ,10.2.3.4"]), "203.0.113.9");
        assert_eq!(client("2001:db8::1", &["[2001:7f8::5]:4711"]), "2001:7f8::5");
        assert_eq!(client("::ffff:10.0.0.1", &["203.0.113.9:80"]), "203.0.113.9");
    }

    #[test]
    fn the_header_of_an_untrusted_peer_is_ignored() {
        assert_eq!(client("203.0.113.9", &["1.1.1.1"]), "203.0.113.9");
        assert_eq!(client("192.0.2.8", &["10.0.0.1, 1.1.1.1"]), "192.0.2.8");
        assert_eq!(client("10.0.0.1", &["1.1.1.1, 203.0.113.9, 10.0.0.2"]), "203.0.113.9");
    }

    #[test]
    fn a_trusted_proxy_that_reports_no_readable_address_is_the_client() {
        for forwarded in [&[][..], &[""], &["unknown"], &["203.0.113.9, _hidden"], &["10.0.0.2,"]] {
            assert_eq!(client("10.0.0.1", forwarded), "10.0.0.1", "{forwarded:?}");
        }
        assert_eq!(client("10.0.0.1", &["10.0.0.2"]), "10.0.0.2");
    }
}
