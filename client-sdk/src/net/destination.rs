//! The host and the port of a server or a proxy.

use http::Uri;

/// The host and the port of a server or a proxy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Destination {
    /// The name or the address, without the brackets of IPv6.
    pub(super) host: String,
    pub(super) port: u16,
}

impl Destination {
    pub(super) fn of(url: &Uri, default_port: u16) -> Self {
        let host = url.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        Self { host, port: url.port_u16().unwrap_or(default_port) }
    }

    /// Returns the host and the port as HTTP writes them.
    pub(super) fn authority(&self) -> String {
        let Self { host, port } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}
