//! The proxy between the application and the server.

use std::fmt;

use secrecy::SecretString;

/// The proxy through which the connections to the server go. TLS goes through the proxy to the
/// server, so that the proxy cannot read or change anything if the URL of the server is `https`.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Proxy {
    /// The proxy that the environment of the process names when its first channel or API is
    /// created.
    ///
    /// The variables are `HTTPS_PROXY` for a server at `https`, `HTTP_PROXY` for one at `http`,
    /// `ALL_PROXY` if these are not set, and `NO_PROXY` for the hosts without a proxy, in upper or
    /// lower case. A value is a URL such as `http://user:password@proxy.example:3128`, with the
    /// scheme `http`, `https`, `socks5` or `socks5h`. `localhost` and loopback addresses have no
    /// proxy. A value that is no URL is ignored.
    #[default]
    Environment,
    /// No proxy.
    Direct,
    /// An HTTP proxy with the method `CONNECT`.
    Http(ProxyServer),
    /// An HTTP proxy with the method `CONNECT`, with TLS to the proxy itself. Its certificate has
    /// to be of a trusted certificate authority; pins do not apply to it.
    Https(ProxyServer),
    /// A SOCKS5 proxy. The proxy looks up the name of the server.
    Socks5(ProxyServer),
}

/// The address of a proxy, and the credentials for it.
#[derive(Clone)]
pub struct ProxyServer {
    /// The host name or the address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The user name and the password, if the proxy asks for them. An HTTP proxy gets them in the
    /// scheme `Basic`. A SOCKS5 proxy accepts 1 to 255 bytes each.
    pub credentials: Option<(String, SecretString)>,
}

impl ProxyServer {
    /// Returns the address of a proxy without credentials.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port, credentials: None }
    }

    /// Sets the user name and the password.
    #[must_use]
    pub fn with_credentials(self, user: impl Into<String>, password: SecretString) -> Self {
        Self { credentials: Some((user.into(), password)), ..self }
    }
}

impl fmt::Debug for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyServer")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("has_credentials", &self.credentials.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_credentials_of_a_proxy_are_not_printed() {
        let server = ProxyServer::new("proxy.example", 3128);
        let server = server.with_credentials("the-user", "the-password".to_owned().into());
        let printed = format!("{:?}", Proxy::Http(server));
        assert!(printed.contains("proxy.example") && printed.contains("3128"), "{printed}");
        assert!(!printed.contains("the-"), "{printed}");
    }
}
