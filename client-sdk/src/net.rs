//! The connection to the server: name resolution, TCP without Nagle's delay, proxies, and TLS.
//! Sockets and REST calls both use it.

mod connect_tunnel;
mod destination;
mod dial;
mod proxy_route;
mod request_headers;
mod resolver;
mod socks_tunnel;
mod stream;
mod transport_error;

use std::sync::Arc;

use http::{HeaderMap, Uri};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::error::Error;
use crate::network_options::NetworkOptions;
use destination::Destination;
use proxy_route::{ProxyProtocol, ProxyRoute, ProxyRules};

pub(crate) use stream::NetStream;
pub(crate) use transport_error::TransportError;

/// A connector for sockets and REST calls.
#[derive(Clone)]
pub(crate) struct Connector {
    tls: Arc<ClientConfig>,
    /// The TLS to a proxy, to which the pins of the server do not apply.
    proxy_tls: Arc<ClientConfig>,
    proxies: Arc<ProxyRules>,
    headers: Arc<HeaderMap>,
}

impl Connector {
    /// Returns a connector with the options of the application.
    pub(crate) fn new(options: &NetworkOptions) -> Result<Self, Error> {
        Ok(Self {
            tls: options.tls.client_config()?,
            proxy_tls: options.tls.without_pins().client_config()?,
            proxies: ProxyRules::new(&options.proxy)?,
            headers: request_headers::shared(options)?,
        })
    }

    /// Returns the headers that every request has: `User-Agent`, and those of the application.
    pub(crate) fn headers(&self) -> &Arc<HeaderMap> {
        &self.headers
    }

    /// Returns true if both have the same parts in memory.
    #[cfg(test)]
    pub(crate) fn shares_all_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.tls, &other.tls)
            && Arc::ptr_eq(&self.proxy_tls, &other.proxy_tls)
            && Arc::ptr_eq(&self.proxies, &other.proxies)
            && Arc::ptr_eq(&self.headers, &other.headers)
    }

    /// Connects to the host of a URL, with TLS for `wss` and `https`, through a proxy if there is
    /// one. All addresses of the host, or of the proxy, are tried.
    pub(crate) async fn connect(self, url: Uri) -> Result<NetStream, TransportError> {
        let uses_tls = matches!(url.scheme_str(), Some("wss" | "https"));
        let destination = Destination::of(&url, if uses_tls { 443 } else { 80 });
        let stream = match self.proxies.route_to(&destination.host, uses_tls)? {
            None => NetStream::Plain(dial(&destination).await?),
            Some(proxy) => self.connect_through(&proxy, &destination).await?,
        };
        if !uses_tls {
            return Ok(stream);
        }
        handshake(self.tls, &destination, stream).await
    }

    async fn connect_through(
        &self,
        proxy: &ProxyRoute,
        destination: &Destination,
    ) -> Result<NetStream, TransportError> {
        let tcp = dial(&proxy.destination).await.map_err(TransportError::of_proxy)?;
        let stream = NetStream::Plain(tcp);
        match &proxy.protocol {
            ProxyProtocol::Http { authorization } => {
                connect_tunnel::open(stream, destination, authorization.as_ref()).await
            }
            ProxyProtocol::Https { authorization } => {
                let tls = Arc::clone(&self.proxy_tls);
                let stream = handshake(tls, &proxy.destination, stream).await?;
                connect_tunnel::open(stream, destination, authorization.as_ref()).await
            }
            ProxyProtocol::Socks5 { credentials } => {
                socks_tunnel::open(stream, destination, credentials.as_ref()).await
            }
        }
    }
}

async fn dial(destination: &Destination) -> Result<TcpStream, TransportError> {
    let found = resolver::lookup(&destination.host, destination.port).await;
    let addresses = found.map_err(|error| TransportError::during("the name lookup", &error))?;
    let connected = dial::connect(addresses).await;
    connected.map_err(|error| TransportError::during("the connection", &error))
}

async fn handshake(
    config: Arc<ClientConfig>,
    destination: &Destination,
    stream: NetStream,
) -> Result<NetStream, TransportError> {
    let name = ServerName::try_from(destination.host.clone());
    let name = name.map_err(|error| TransportError::new(&error))?;
    let tls = TlsConnector::from(config).connect(name, stream).await;
    Ok(NetStream::Tls(Box::new(tls.map_err(|error| TransportError::new(&error))?)))
}
