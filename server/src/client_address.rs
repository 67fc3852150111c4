//! Where a request comes from: behind proxies that are believed, the address that they tell.
//!
//! Only `X-Forwarded-For` is read, and not `Forwarded`, since one header that every proxy must clean is safer than two. Each proxy
//! adds the address it was called from at the end. So it is read from the end, over all addresses of believed proxies, and the first
//! other one is the client: what stands before that may have been made up by the client itself.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;
use poem::Request;
use poem::http::HeaderMap;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Networks of proxies that are believed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proxies(Vec<IpNet>);

/// The address of a request's client, as it is kept with the request.
#[derive(Debug, Clone, Copy)]
struct Client(IpAddr);

impl FromIterator<IpNet> for Proxies {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        Self(networks.into_iter().collect())
    }
}

impl Proxies {
    /// Finds out the client of a request, and keeps it with the request.
    pub(crate) fn note_client(&self, request: &mut Request) {
        let peer = peer(request);
        let client = self.client(peer, request.headers());
        if client != peer {
            request.set_data(Client(client));
        }
    }

    /// The client of a request from `peer`.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let told = headers.get_all(FORWARDED_FOR);
        let mut told: Vec<&str> =
            told.iter().flat_map(|value| value.to_str().unwrap_or("").split(',')).collect();
        while self.believes(client) {
            // What is no address was told by nobody whom a proxy could have met.
            let Some(before) = told.pop().and_then(address_in) else { break };
            client = before;
        }
        client
    }

    fn believes(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// The address of a request's client, as far as it is known.
pub(crate) fn of(request: &Request) -> IpAddr {
    request.data().map_or_else(|| peer(request), |Client(address)| *address)
}

fn peer(request: &Request) -> IpAddr {
    let peer = request.remote_addr().as_socket_addr();
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip().to_canonical())
}

/// An address, which some proxies write with its port or in brackets.
fn address_in(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse().ok().map(|peer: SocketAddr| peer.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    fn client(peer: &str, told: &[&str]) -> String {
        let networks = ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"];
        let proxies: Proxies = networks.iter().map(|text| text.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for value in told {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(value).unwrap());
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn what_a_proxy_tells_is_read_from_the_end_over_all_that_are_believed() {
        assert_eq!(client("10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(client("10.0.0.1", &["1.1.1.1, 203.0.113.9"]), "203.0.113.9");
        assert_eq!(client("10.0.0.1", &["1.1.1.1, 203.0.113.9, 192.0.2.7"]), "203.0.113.9");
        assert_eq!(client("10.0.0.1", &["1.1.1.1", "203.0.113.9 ,10.2.3.4"]), "203.0.113.9");
        assert_eq!(client("2001:db8::1", &["[2001:7f8::5]:4711"]), "2001:7f8::5");
        assert_eq!(client("::ffff:10.0.0.1", &["203.0.113.9:80"]), "203.0.113.9");
    }

    #[test]
    fn what_anybody_else_tells_is_ignored() {
        assert_eq!(client("203.0.113.9", &["1.1.1.1"]), "203.0.113.9");
        assert_eq!(client("192.0.2.8", &["10.0.0.1, 1.1.1.1"]), "192.0.2.8");
        assert_eq!(client("10.0.0.1", &["1.1.1.1, 203.0.113.9, 10.0.0.2"]), "203.0.113.9");
    }

    #[test]
    fn a_proxy_that_tells_nothing_readable_counts_itself() {
        for told in [&[][..], &[""], &["unknown"], &["203.0.113.9, _hidden"], &["10.0.0.2,"]] {
            assert_eq!(client("10.0.0.1", told), "10.0.0.1", "{told:?}");
        }
        assert_eq!(client("10.0.0.1", &["10.0.0.2"]), "10.0.0.2");
    }
}
