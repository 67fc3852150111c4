//! The way to the server: what channels and REST calls have in common.

use secrecy::SecretString;

use crate::proxy::Proxy;
use crate::tls::Tls;

/// The options of all connections to the server. The default is a direct connection, or the proxy
/// of the environment, and TLS with the default certificate authorities.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct NetworkOptions {
    /// The proxy; by default that of the environment.
    pub proxy: Proxy,
    /// The certificates that are trusted.
    pub tls: Tls,
    /// The product of the application for the header `User-Agent`, such as `chat/1.2`; several are
    /// separated by spaces, and 200 characters is the maximum. It comes before that of the SDK.
    pub product: Option<String>,
    /// Headers of the application for every request: the upgrade of a channel and each REST call.
    /// At most 32, with at most 8 KiB together. The names that the protocol uses, such as
    /// `Authorization` and `Sec-WebSocket-Key`, are refused. The values count as secrets. The proxy
    /// does not get these headers.
    pub headers: Vec<(String, SecretString)>,
}

impl NetworkOptions {
    /// Sets the proxy.
    #[must_use]
    pub fn with_proxy(self, proxy: Proxy) -> Self {
        Self { proxy, ..self }
    }

    /// Sets the certificates that are trusted.
    #[must_use]
    pub fn with_tls(self, tls: Tls) -> Self {
        Self { tls, ..self }
    }

    /// Sets the product of the application for the header `User-Agent`, such as `chat/1.2`.
    #[must_use]
    pub fn with_product(self, product: impl Into<String>) -> Self {
        Self { product: Some(product.into()), ..self }
    }

    /// Adds a header to every request.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: SecretString) -> Self {
        self.headers.push((name.into(), value));
        self
    }
}
