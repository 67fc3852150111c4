//! Pinned public keys.

use std::collections::HashSet;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, SignatureScheme,
};
use sha2::{Digest, Sha256};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert, spki_for_anchor};

use crate::error::Error;

/// The error of a certificate for which no pinned key vouches.
#[derive(Debug, thiserror::Error)]
#[error("no pinned key vouches for the certificate of the server")]
pub(crate) struct PinMismatch;

/// The SHA-256 digests of the pinned keys.
#[derive(Debug)]
pub(super) struct Pins(HashSet<[u8; 32]>);

impl Pins {
    /// Reads the pins of the application.
    pub(super) fn parse(pins: &[String]) -> Result<Self, Error> {
        let digest = |pin: &String| {
            let text = pin.strip_prefix("sha256/").unwrap_or(pin);
            let bytes = BASE64_STANDARD.decode(text).ok();
            bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
                Error::InvalidArgument("a pin is not a SHA-256 digest in Base64".to_owned())
            })
        };
        Ok(Self(pins.iter().map(digest).collect::<Result<_, _>>()?))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn contain(&self, public_key_info: &[u8]) -> bool {
        self.0.contains(&<[u8; 32]>::from(Sha256::digest(public_key_info)))
    }
}

/// A verifier that asks another one, and then looks for a pinned key.
#[derive(Debug)]
pub(super) struct PinnedVerifier {
    inner: Arc<dyn ServerCertVerifier>,
    pins: Pins,
    /// The trusted roots whose keys are pinned.
    pinned_roots: Vec<TrustAnchor<'static>>,
    provider: Arc<CryptoProvider>,
}

impl PinnedVerifier {
    pub(super) fn new(
        inner: Arc<dyn ServerCertVerifier>,
        pins: Pins,
        roots: &[TrustAnchor<'static>],
        provider: &Arc<CryptoProvider>,
    ) -> Self {
        let is_pinned = |root: &&TrustAnchor<'_>| pins.contain(&spki_for_anchor(root));
        let pinned_roots = roots.iter().filter(is_pinned).cloned().collect();
        Self { inner, pins, pinned_roots, provider: Arc::clone(provider) }
    }

    /// Returns true if the certificate has a pinned key, or if signatures lead to it from a
    /// certificate with one. It does not help an attacker to send a certificate with a pinned key
    /// beside others.
    fn has_pinned_key(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<bool, webpki::Error> {
        let leaf = EndEntityCert::try_from(end_entity)?;
        if self.pins.contain(&leaf.subject_public_key_info()) {
            return Ok(true);
        }
        let mut anchors = self.pinned_roots.clone();
        for issuer in intermediates {
            let public_key_info = EndEntityCert::try_from(issuer)?.subject_public_key_info();
            if self.pins.contain(&public_key_info) {
                anchors.push(anchor_from_trusted_cert(issuer)?.to_owned());
            }
        }
        let algorithms = self.provider.signature_verification_algorithms.all;
        let usage = KeyUsage::server_auth();
        let path =
            leaf.verify_for_usage(algorithms, &anchors, intermediates, now, usage, None, None);
        Ok(path.is_ok())
    }
}

impl ServerCertVerifier for PinnedVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.inner.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )?;
        if self.has_pinned_key(end_entity, intermediates, now).unwrap_or(false) {
            return Ok(verified);
        }
        Err(CertificateError::Other(OtherError(Arc::new(PinMismatch))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.inner.requires_raw_public_keys()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.inner.root_hint_subjects()
    }
}
