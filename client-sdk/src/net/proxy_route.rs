//! The choice of the proxy for a server.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use secrecy::{ExposeSecret, SecretString};

use super::destination::Destination;
use super::transport_error::TransportError;
use crate::error::{Error, ProxyErrorKind};
use crate::proxy::{Proxy, ProxyServer};

/// The proxies of a connector.
pub(super) enum ProxyRules {
    /// There is no proxy.
    Direct,
    /// All connections go through one proxy.
    All(Box<ProxyRoute>),
    /// The variables of the environment name the proxies.
    Environment(Box<Matcher>),
}

/// A proxy, and how to speak with it.
#[derive(Clone)]
pub(super) struct ProxyRoute {
    pub(super) destination: Destination,
    pub(super) protocol: ProxyProtocol,
}

/// The protocol of a proxy, with the credentials for it.
#[derive(Clone)]
pub(super) enum ProxyProtocol {
    Http { authorization: Option<HeaderValue> },
    Https { authorization: Option<HeaderValue> },
    Socks5 { credentials: Option<(String, SecretString)> },
}

impl ProxyRules {
    pub(super) fn new(proxy: &Proxy) -> Result<Arc<Self>, Error> {
        let (server, protocol) = match proxy {
            Proxy::Environment => return Ok(Self::environment()),
            Proxy::Direct => return Ok(Arc::new(Self::Direct)),
            Proxy::Http(server) => {
                (server, ProxyProtocol::Http { authorization: authorization(server)? })
            }
            Proxy::Https(server) => {
                (server, ProxyProtocol::Https { authorization: authorization(server)? })
            }
            Proxy::Socks5(server) => {
                (server, ProxyProtocol::Socks5 { credentials: socks_credentials(server)? })
            }
        };
        let host = server.host.trim_matches(['[', ']']).to_owned();
        if host.is_empty() || server.port == 0 {
            return Err(invalid("the proxy has no host or no port"));
        }
        let destination = Destination { host, port: server.port };
        Ok(Arc::new(Self::All(Box::new(ProxyRoute { destination, protocol }))))
    }

    /// Returns the rules of the environment, which all channels of the process share.
    fn environment() -> Arc<Self> {
        static SHARED: OnceLock<Arc<ProxyRules>> = OnceLock::new();
        Arc::clone(
            SHARED.get_or_init(|| Arc::new(Self::Environment(Box::new(Matcher::from_env())))),
        )
    }

    /// Returns the proxy for a server, if there is one.
    pub(super) fn route_to(
        &self,
        host: &str,
        uses_tls: bool,
    ) -> Result<Option<ProxyRoute>, TransportError> {
        match self {
            Self::Direct => Ok(None),
            Self::All(route) => Ok(Some(ProxyRoute::clone(route))),
            Self::Environment(_) if is_this_machine(host) => Ok(None),
            Self::Environment(matcher) => {
                let Some(url) = lookup_url(host, uses_tls) else { return Ok(None) };
                matcher.intercept(&url).map(|found| route_of(&found)).transpose()
            }
        }
    }
}

/// Returns the URL with which the rules of the environment are asked. They do not know `ws` and
/// `wss`.
fn lookup_url(host: &str, uses_tls: bool) -> Option<Uri> {
    let scheme = if uses_tls { "https" } else { "http" };
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    Uri::builder().scheme(scheme).authority(host).path_and_query("/").build().ok()
}

fn is_this_machine(host: &str) -> bool {
    let name = host.to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn route_of(found: &Intercept) -> Result<ProxyRoute, TransportError> {
    let authorization = || found.basic_auth().cloned();
    let (protocol, default_port) = match found.uri().scheme_str() {
        Some("http") => (ProxyProtocol::Http { authorization: authorization() }, 80),
        Some("https") => (ProxyProtocol::Https { authorization: authorization() }, 443),
        Some("socks5" | "socks5h") => {
            let credentials = found.raw_auth();
            let credentials =
                credentials.map(|(user, password)| (user.to_owned(), password.into()));
            (ProxyProtocol::Socks5 { credentials }, 1080)
        }
        scheme => {
            let reason = format!("the protocol {} is not supported", scheme.unwrap_or_default());
            return Err(TransportError::in_proxy(ProxyErrorKind::Unsupported, reason));
        }
    };
    Ok(ProxyRoute { destination: Destination::of(found.uri(), default_port), protocol })
}

fn authorization(server: &ProxyServer) -> Result<Option<HeaderValue>, Error> {
    let Some((user, password)) = &server.credentials else { return Ok(None) };
    if user.contains(':') {
        return Err(invalid("the user name for the proxy has a colon"));
    }
    let text = SecretString::from(format!("{user}:{}", password.expose_secret()));
    let encoded = BASE64_STANDARD.encode(text.expose_secret());
    // Base64 has no characters that a header cannot have.
    let mut value = HeaderValue::try_from(format!("Basic {encoded}"))
        .map_err(|_| invalid("the credentials for the proxy have invalid characters"))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn socks_credentials(server: &ProxyServer) -> Result<Option<(String, SecretString)>, Error> {
    let Some((user, password)) = &server.credentials else { return Ok(None) };
    let is_valid = |text: &str| (1..=255).contains(&text.len());
    if !is_valid(user) || !is_valid(password.expose_secret()) {
        return Err(invalid(
            "the user name and the password for a SOCKS5 proxy must have 1 to 255 bytes",
        ));
    }
    Ok(Some((user.clone(), password.clone())))
}

fn invalid(reason: &str) -> Error {
    Error::InvalidArgument(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the rules of an environment with a proxy for each scheme and some exceptions.
    fn environment() -> ProxyRules {
        let matcher = Matcher::builder()
            .http("plain.example:3128")
            .https("http://the-user:the%20password@secure.example")
            .no("internal.example, 10.0.0.0/8, 2001:db8::/32");
        ProxyRules::Environment(Box::new(matcher.build()))
    }

    fn proxy_of(rules: &ProxyRules, host: &str, uses_tls: bool) -> Option<Destination> {
        rules.route_to(host, uses_tls).unwrap().map(|route| route.destination)
    }

    #[test]
    fn the_environment_has_a_proxy_for_each_scheme_and_hosts_without_one() {
        let proxy = |host: &str, port| Some(Destination { host: host.to_owned(), port });
        let rules = environment();
        for (host, uses_tls, expected) in [
            ("presence.example", false, proxy("plain.example", 3128)),
            ("presence.example", true, proxy("secure.example", 80)),
            ("2001:db9::1", true, proxy("secure.example", 80)),
            ("internal.example", true, None),
            ("deep.internal.example", true, None),
            ("notinternal.example", true, proxy("secure.example", 80)),
            ("10.1.2.3", true, None),
            ("2001:db8::1", false, None),
            ("localhost", true, None),
            ("dev.localhost", false, None),
            ("127.0.0.1", false, None),
            ("::1", true, None),
        ] {
            assert_eq!(proxy_of(&rules, host, uses_tls), expected, "{host} {uses_tls}");
        }
    }

    #[test]
    fn the_credentials_in_a_url_are_decoded() {
        let Some(route) = environment().route_to("presence.example", true).unwrap() else {
            panic!("no proxy")
        };
        let ProxyProtocol::Http { authorization: Some(value) } = route.protocol else {
            panic!("no credentials")
        };
        let expected = format!("Basic {}", BASE64_STANDARD.encode("the-user:the password"));
        assert_eq!(value, expected);
        assert!(value.is_sensitive());
        let socks = Matcher::builder().all("socks5h://the-user:p%40ss@socks.example").build();
        let route =
            ProxyRules::Environment(Box::new(socks)).route_to("presence.example", false).unwrap();
        let Some(ProxyRoute { destination, protocol }) = route else { panic!("no proxy") };
        assert_eq!(destination, Destination { host: "socks.example".to_owned(), port: 1080 });
        let ProxyProtocol::Socks5 { credentials: Some((user, password)) } = protocol else {
            panic!("no credentials")
        };
        assert_eq!((user.as_str(), password.expose_secret()), ("the-user", "p@ss"));
    }

    #[test]
    fn a_protocol_that_is_not_supported_is_an_error_and_no_direct_connection() {
        let rules = ProxyRules::Environment(Box::new(
            Matcher::builder().all("socks4://old.example").build(),
        ));
        let Err(error) = rules.route_to("presence.example", true) else { panic!("a route") };
        let error = Error::from(error);
        assert!(
            matches!(error, Error::Proxy { kind: ProxyErrorKind::Unsupported, .. }),
            "{error:?}"
        );
    }

    #[test]
    fn invalid_options_of_a_proxy_are_refused_without_their_secrets() {
        let server = |user: &str, password: &str| {
            let password = SecretString::from(password.to_owned());
            ProxyServer::new("proxy.example", 1).with_credentials(user, password)
        };
        for proxy in [
            Proxy::Http(ProxyServer::new("", 1)),
            Proxy::Https(ProxyServer::new("proxy.example", 0)),
            Proxy::Http(server("hush:hush", "hush")),
            Proxy::Socks5(server("", "hush")),
            Proxy::Socks5(server("hush", &"hush".repeat(64))),
        ] {
            let Err(error) = ProxyRules::new(&proxy) else { panic!("accepted: {proxy:?}") };
            assert!(matches!(error, Error::InvalidArgument(_)), "{error:?}");
            assert!(!format!("{error} {error:?} {proxy:?}").contains("hush"), "{error:?}");
        }
    }
}
