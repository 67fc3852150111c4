//! The kinds of failed connections.

/// The reason for which there is no connection through the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
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

impl From<presence_client::ProxyErrorKind> for ProxyErrorKind {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a newer SDK has more kinds")]
    fn from(kind: presence_client::ProxyErrorKind) -> Self {
        use presence_client::ProxyErrorKind as Sdk;
        match kind {
            Sdk::Unreachable => Self::Unreachable,
            Sdk::NotAuthorised => Self::NotAuthorised,
            Sdk::Forbidden => Self::Forbidden,
            Sdk::ServerUnreachable => Self::ServerUnreachable,
            Sdk::InvalidAnswer => Self::InvalidAnswer,
            Sdk::Unsupported => Self::Unsupported,
            _ => Self::Other,
        }
    }
}

/// The reason for which there is no TLS connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum TlsErrorKind {
    /// The certificate is of an authority that is not trusted.
    UnknownIssuer,
    /// The certificate has expired, or the clock of this device is wrong.
    Expired,
    /// The certificate is not valid yet, or the clock of this device is wrong.
    NotYetValid,
    /// The certificate is for another host.
    WrongName,
    /// The certificate is valid, but no pinned key is among those that vouch for it.
    PinMismatch,
    /// The certificate was revoked.
    Revoked,
    /// The certificate is not valid for another reason, such as a wrong signature.
    InvalidCertificate,
    /// Server and client do not agree on the protocol, or the other side does not speak TLS.
    Handshake,
    /// Any other failure.
    Other,
}

impl From<presence_client::TlsErrorKind> for TlsErrorKind {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a newer SDK has more kinds")]
    fn from(kind: presence_client::TlsErrorKind) -> Self {
        use presence_client::TlsErrorKind as Sdk;
        match kind {
            Sdk::UnknownIssuer => Self::UnknownIssuer,
            Sdk::Expired => Self::Expired,
            Sdk::NotYetValid => Self::NotYetValid,
            Sdk::WrongName => Self::WrongName,
            Sdk::PinMismatch => Self::PinMismatch,
            Sdk::Revoked => Self::Revoked,
            Sdk::InvalidCertificate => Self::InvalidCertificate,
            Sdk::Handshake => Self::Handshake,
            _ => Self::Other,
        }
    }
}
