//! The reason for which there is no connection.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use rustls::{CertificateError, OtherError};

use crate::error::{Error, ProxyErrorKind, TlsErrorKind};
use crate::tls::PinMismatch;

/// The reason for which there is no connection, in one line with all causes.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(crate) struct TransportError(Error);

impl TransportError {
    /// Creates an error for one step of a connection.
    pub(super) fn during(step: &str, error: &io::Error) -> Self {
        Self(Error::Unreachable(format!("{step} failed: {error}")))
    }

    /// Creates an error of the proxy.
    pub(super) fn in_proxy(kind: ProxyErrorKind, reason: impl Into<String>) -> Self {
        Self(Error::Proxy { kind, reason: reason.into(), retry_after: None })
    }

    /// Adds the wait that a proxy asks for.
    pub(super) fn with_retry_after(self, wait: Option<Duration>) -> Self {
        if let Error::Proxy { kind, reason, .. } = self.0 {
            return Self(Error::Proxy { kind, reason, retry_after: wait });
        }
        self
    }

    /// Returns the error as one of the way to the proxy.
    pub(super) fn of_proxy(self) -> Self {
        if let Error::Unreachable(reason) = self.0 {
            let reason = format!("the proxy cannot be reached: {reason}");
            return Self::in_proxy(ProxyErrorKind::Unreachable, reason);
        }
        self
    }

    /// Creates an error from that of a library. If an error of this type or of TLS is among the
    /// causes, it is that one.
    pub(crate) fn new(error: &(dyn StdError + 'static)) -> Self {
        let mut line = error.to_string();
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(known) = known_error(error) {
                return known;
            }
            let text = error.to_string();
            if !line.contains(&text) {
                line = format!("{line}: {text}");
            }
            cause = error.source();
        }
        Self(Error::Unreachable(line))
    }
}

fn known_error(error: &(dyn StdError + 'static)) -> Option<TransportError> {
    if let Some(known) = error.downcast_ref::<TransportError>() {
        return Some(known.clone());
    }
    // The source of an I/O error is that of the error in it, which would be skipped.
    if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        return known_error(inner);
    }
    let error = error.downcast_ref::<rustls::Error>()?;
    let (kind, reason) = (tls_error_kind(error), error.to_string());
    Some(TransportError(Error::Tls { kind, reason }))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a newer library has more kinds")]
fn tls_error_kind(error: &rustls::Error) -> TlsErrorKind {
    use rustls::Error as Tls;
    match error {
        Tls::InvalidCertificate(error) => certificate_error_kind(error),
        Tls::NoCertificatesPresented | Tls::UnsupportedNameType => TlsErrorKind::InvalidCertificate,
        Tls::InappropriateMessage { .. }
        | Tls::InappropriateHandshakeMessage { .. }
        | Tls::InvalidMessage(_)
        | Tls::DecryptError
        | Tls::PeerIncompatible(_)
        | Tls::PeerMisbehaved(_)
        | Tls::AlertReceived(_)
        | Tls::PeerSentOversizedRecord
        | Tls::HandshakeNotComplete
        | Tls::NoApplicationProtocol => TlsErrorKind::Handshake,
        _ => TlsErrorKind::Other,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a newer library has more kinds")]
fn certificate_error_kind(error: &CertificateError) -> TlsErrorKind {
    use CertificateError as Certificate;
    match error {
        Certificate::UnknownIssuer => TlsErrorKind::UnknownIssuer,
        Certificate::Expired | Certificate::ExpiredContext { .. } => TlsErrorKind::Expired,
        Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
            TlsErrorKind::NotYetValid
        }
        Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
            TlsErrorKind::WrongName
        }
        Certificate::Revoked => TlsErrorKind::Revoked,
        Certificate::Other(OtherError(error)) if error.is::<PinMismatch>() => {
            TlsErrorKind::PinMismatch
        }
        _ => TlsErrorKind::InvalidCertificate,
    }
}

impl From<TransportError> for Error {
    fn from(error: TransportError) -> Self {
        error.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_certificate_error_has_its_type() {
        for (error, expected) in [
            (CertificateError::UnknownIssuer, TlsErrorKind::UnknownIssuer),
            (CertificateError::Expired, TlsErrorKind::Expired),
            (CertificateError::NotValidYet, TlsErrorKind::NotYetValid),
            (CertificateError::NotValidForName, TlsErrorKind::WrongName),
            (CertificateError::Revoked, TlsErrorKind::Revoked),
            (CertificateError::BadSignature, TlsErrorKind::InvalidCertificate),
        ] {
            let error = io::Error::other(rustls::Error::InvalidCertificate(error));
            let error = Error::from(TransportError::new(&error));
            assert!(matches!(&error, Error::Tls { kind, .. } if *kind == expected), "{error:?}");
        }
    }

    #[test]
    fn an_error_that_is_not_known_names_each_cause_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("the outer one")]
        struct Outer(#[source] io::Error);
        let error = TransportError::new(&Outer(io::Error::other("the inner one")));
        assert_eq!(
            Error::from(error),
            Error::Unreachable("the outer one: the inner one".to_owned())
        );
    }
}
