//! The reasons for which a proxy does not connect.

/// The reason for which there is no connection through the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyErrorKind {
    /// The proxy itself cannot be reached.
    Unreachable,
    /// The proxy asks for credentials, or does not accept the given ones: HTTP status 407, or 401,
    /// which tinyproxy answers to a wrong password.
    NotAuthorised,
    /// The proxy does not allow a connection to this server: HTTP status 403, or a rule of a SOCKS5
    /// proxy.
    Forbidden,
    /// The proxy does not reach the server: HTTP status 502, 503 or 504, or the answers of a SOCKS5
    /// proxy that mean the same.
    ServerUnreachable,
    /// The proxy gave an answer that is not one of the protocol, or is longer than 8 KiB.
    InvalidAnswer,
    /// The environment names a proxy with a protocol that the SDK does not have, such as SOCKS4.
    Unsupported,
    /// Any other refusal.
    Other,
}
