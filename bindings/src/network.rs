//! The options of all connections to the server.

use std::collections::HashMap;
use std::sync::Arc;

use presence_client::{Proxy, SecretString, Tls};

use crate::secret::Secret;

/// The product of the app for the header `User-Agent`, such as `chat/1.2`; several are separated by
/// spaces. `uniffi.toml` adds the product of the language.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserAgentProduct(String);

uniffi::custom_newtype!(UserAgentProduct, String);

/// The options of all connections to the server.
#[derive(Debug, Clone, Default, uniffi::Record)]
pub struct NetworkOptions {
    /// The proxy. By default that of the environment of the process; a phone has none there.
    #[uniffi(default = None)]
    pub proxy: Option<PresenceProxy>,
    /// The certificates of further certificate authorities to trust, each in DER.
    #[uniffi(default = [])]
    pub root_certificates: Vec<Vec<u8>>,
    /// Trusts only `root_certificates` if true.
    #[uniffi(default = false)]
    pub only_root_certificates: bool,
    /// Pinned public keys: SHA-256 digests of `SubjectPublicKeyInfo` in Base64, as in RFC 7469. If
    /// there are pins, one of the keys that vouch for the server must be pinned: that of its own
    /// certificate, of a certificate authority that the server sends, or of a trusted root. Pin a
    /// second key whose certificate is not in use yet, for the case that the first one is lost.
    #[uniffi(default = [])]
    pub pins: Vec<String>,
    /// The product of the app for the header `User-Agent`, such as `chat/1.2`; several are
    /// separated by spaces. It comes before that of the SDK.
    #[uniffi(default = "")]
    pub product: UserAgentProduct,
    /// Headers of the app for every request: the upgrade of a channel and each REST call. At most
    /// 32, with at most 8 KiB together. The names that the protocol uses, such as `Authorization`,
    /// are refused. A proxy does not get these headers.
    #[uniffi(default)]
    pub headers: HashMap<String, Arc<Secret>>,
}

impl From<NetworkOptions> for presence_client::NetworkOptions {
    fn from(options: NetworkOptions) -> Self {
        let roots = options.root_certificates.into_iter();
        let mut tls = roots.fold(Tls::default(), Tls::with_root_certificate);
        if options.only_root_certificates {
            tls = tls.without_default_roots();
        }
        let mut converted = Self::default();
        converted.tls = options.pins.into_iter().fold(tls, Tls::with_pin);
        converted.proxy = options.proxy.map(Into::into).unwrap_or_default();
        let product = options.product.0.trim();
        converted.product = (!product.is_empty()).then(|| product.to_owned());
        let headers = options.headers.into_iter();
        converted.headers = headers.map(|(name, value)| (name, value.text())).collect();
        converted
    }
}

/// The proxy between the app and the server.
#[derive(Debug, Clone, uniffi::Enum)]
pub enum PresenceProxy {
    /// The proxy that the variables `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` of the
    /// process name. `localhost` and loopback addresses have none.
    Environment,
    /// No proxy.
    Direct,
    /// An HTTP proxy with the method `CONNECT`.
    Http {
        /// The address of the proxy.
        server: ProxyServer,
    },
    /// An HTTP proxy with the method `CONNECT`, with TLS to the proxy itself.
    Https {
        /// The address of the proxy.
        server: ProxyServer,
    },
    /// A SOCKS5 proxy. The proxy looks up the name of the server.
    Socks5 {
        /// The address of the proxy.
        server: ProxyServer,
    },
}

impl From<PresenceProxy> for Proxy {
    fn from(proxy: PresenceProxy) -> Self {
        match proxy {
            PresenceProxy::Environment => Self::Environment,
            PresenceProxy::Direct => Self::Direct,
            PresenceProxy::Http { server } => Self::Http(server.into()),
            PresenceProxy::Https { server } => Self::Https(server.into()),
            PresenceProxy::Socks5 { server } => Self::Socks5(server.into()),
        }
    }
}

/// The address of a proxy, and the credentials for it.
#[derive(Debug, Clone, uniffi::Record)]
pub struct ProxyServer {
    /// The host name or the address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The user name, if the proxy asks for one.
    #[uniffi(default = None)]
    pub user: Option<Arc<Secret>>,
    /// The password of the user.
    #[uniffi(default = None)]
    pub password: Option<Arc<Secret>>,
}

impl From<ProxyServer> for presence_client::ProxyServer {
    fn from(server: ProxyServer) -> Self {
        let converted = Self::new(server.host, server.port);
        let Some(user) = server.user else { return converted };
        let password = server.password.map_or_else(SecretString::default, |secret| secret.text());
        converted.with_credentials(user.reveal(), password)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secrets_of_the_options_are_not_printed() {
        let hush = Some(Secret::new("hush".to_owned()));
        let (host, port) = ("proxy.example".to_owned(), 3128);
        let server = ProxyServer { host, port, user: hush.clone(), password: hush };
        let options = NetworkOptions {
            proxy: Some(PresenceProxy::Http { server }),
            headers: HashMap::from([("x-tenant".to_owned(), Secret::new("hush".to_owned()))]),
            ..NetworkOptions::default()
        };
        let sdk = presence_client::NetworkOptions::from(options.clone());
        assert_eq!(sdk.headers.len(), 1);
        assert!(matches!(&sdk.proxy, Proxy::Http(server) if server.credentials.is_some()));
        assert!(!format!("{options:?} {sdk:?}").contains("hush"));
    }

    #[test]
    fn all_languages_name_the_version_of_this_library_in_the_user_agent() {
        let settings = include_str!("../uniffi.toml");
        for language in ["kotlin", "swift", "python"] {
            let product = format!("presence-{language}/{}", env!("CARGO_PKG_VERSION"));
            assert!(settings.contains(&product), "{product}");
        }
    }
}
