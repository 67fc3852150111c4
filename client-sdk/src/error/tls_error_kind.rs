//! The reasons for which TLS fails.

/// The reason for which there is no TLS connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
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
