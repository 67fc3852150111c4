//! The configuration of TLS: the trusted certificate authorities, pins, and the cryptography
//! provider.

mod pins;

use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

use crate::error::Error;
use pins::{PinnedVerifier, Pins};

pub(crate) use pins::PinMismatch;

/// The certificates that are trusted. The default is every certificate of Mozilla's list of
/// certificate authorities, compiled in, or with the feature `platform-roots` of the list of the
/// platform.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    added_roots: Vec<CertificateDer<'static>>,
    only_added_roots: bool,
    pins: Vec<String>,
    /// The configuration, which all clones share: the list of roots is large, and a configuration
    /// stores sessions to resume.
    config: Arc<OnceLock<Arc<ClientConfig>>>,
}

impl Tls {
    /// Adds a trusted root certificate in DER, for example that of a company's own authority.
    #[must_use]
    pub fn with_root_certificate(self, der: Vec<u8>) -> Self {
        let mut added_roots = self.added_roots;
        added_roots.push(der.into());
        Self { added_roots, config: Arc::default(), ..self }
    }

    /// Removes the default certificate authorities, so that only those are trusted that
    /// [`Tls::with_root_certificate`] adds.
    #[must_use]
    pub fn without_default_roots(self) -> Self {
        Self { only_added_roots: true, config: Arc::default(), ..self }
    }

    /// Pins a public key: the SHA-256 digest of its `SubjectPublicKeyInfo` in Base64, as in RFC
    /// 7469, with or without `sha256/` before it.
    ///
    /// If there are pins, one of the keys that vouch for the server must be pinned: that of its own
    /// certificate, of a certificate authority that the server sends, or of a trusted root, from
    /// which the verified signatures lead to the server's certificate. With the feature
    /// `platform-roots` the roots of the platform count only if the server sends them. The pins are
    /// checked after everything else, and replace no other check. Pin a second key whose
    /// certificate is not in use yet: without it, the app cannot connect after the loss of the
    /// first one.
    #[must_use]
    pub fn with_pin(self, pin: impl Into<String>) -> Self {
        let mut pins = self.pins;
        pins.push(pin.into());
        Self { pins, config: Arc::default(), ..self }
    }

    /// Returns the same configuration without pins.
    pub(crate) fn without_pins(&self) -> Self {
        if self.pins.is_empty() {
            return self.clone();
        }
        Self { pins: Vec::new(), config: Arc::default(), ..self.clone() }
    }

    /// Returns the configuration of rustls.
    pub(crate) fn client_config(&self) -> Result<Arc<ClientConfig>, Error> {
        static DEFAULT: OnceLock<Arc<ClientConfig>> = OnceLock::new();
        let shared = if self.is_default() { &DEFAULT } else { &*self.config };
        if let Some(config) = shared.get() {
            return Ok(Arc::clone(config));
        }
        let config = self.build()?;
        Ok(Arc::clone(shared.get_or_init(|| config)))
    }

    fn is_default(&self) -> bool {
        self.added_roots.is_empty() && !self.only_added_roots && self.pins.is_empty()
    }

    fn build(&self) -> Result<Arc<ClientConfig>, Error> {
        let provider = provider()?;
        let verifier = self.verifier(&provider)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&error))?;
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        Ok(Arc::new(builder.with_no_client_auth()))
    }

    fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, Error> {
        let roots = self.known_roots()?;
        let pins = Pins::parse(&self.pins)?;
        let verifier: Arc<dyn ServerCertVerifier> = if self.only_added_roots {
            web_pki_verifier(roots.clone(), provider)?
        } else {
            self.default_verifier(roots.clone(), provider)?
        };
        if pins.is_empty() {
            return Ok(verifier);
        }
        let pinned = PinnedVerifier::new(verifier, pins, &roots.roots, provider);
        Ok(Arc::new(pinned))
    }

    /// Returns the roots that are not those of the platform.
    fn known_roots(&self) -> Result<RootCertStore, Error> {
        let mut roots = RootCertStore::empty();
        #[cfg(all(feature = "bundled-roots", not(feature = "platform-roots")))]
        if !self.only_added_roots {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        for certificate in &self.added_roots {
            roots.add(certificate.clone()).map_err(|error| unusable(&error))?;
        }
        Ok(roots)
    }

    #[cfg(feature = "platform-roots")]
    fn default_verifier(
        &self,
        _roots: RootCertStore,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, Error> {
        let (added, provider) = (self.added_roots.iter().cloned(), Arc::clone(provider));
        let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(added, provider)
            .map_err(|error| unusable(&error))?;
        Ok(Arc::new(verifier))
    }

    #[cfg(not(feature = "platform-roots"))]
    #[expect(clippy::unused_self, reason = "with the roots of the platform it is used")]
    fn default_verifier(
        &self,
        roots: RootCertStore,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, Error> {
        Ok(web_pki_verifier(roots, provider)?)
    }
}

/// Returns a verifier that trusts these roots only.
fn web_pki_verifier(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, Error> {
    let (roots, provider) = (Arc::new(roots), Arc::clone(provider));
    WebPkiServerVerifier::builder_with_provider(roots, provider)
        .build()
        .map_err(|error| unusable(&error))
}

#[cfg_attr(
    any(feature = "ring", feature = "aws-lc-rs"),
    expect(clippy::unnecessary_wraps, reason = "without these features there may be no provider")
)]
fn provider() -> Result<Arc<CryptoProvider>, Error> {
    #[cfg(feature = "ring")]
    return Ok(Arc::new(rustls::crypto::ring::default_provider()));
    #[cfg(all(feature = "aws-lc-rs", not(feature = "ring")))]
    return Ok(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    #[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
    CryptoProvider::get_default().map(Arc::clone).ok_or_else(|| {
        Error::InvalidArgument(
            "no cryptography provider for TLS is compiled in or installed".to_owned(),
        )
    })
}

fn unusable(error: &dyn std::error::Error) -> Error {
    Error::InvalidArgument(format!("TLS cannot be used: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_configurations_are_shared() {
        let config = |tls: &Tls| tls.client_config().unwrap();
        assert!(Arc::ptr_eq(&config(&Tls::default()), &config(&Tls::default())));
    }

    #[test]
    fn an_invalid_root_certificate_is_refused_when_it_is_used() {
        let tls = Tls::default().with_root_certificate(b"not a certificate".to_vec());
        assert!(matches!(tls.client_config(), Err(Error::InvalidArgument(_))));
        assert!(Tls::default().client_config().is_ok());
    }

    #[test]
    fn no_root_at_all_and_an_invalid_pin_are_refused_when_they_are_used() {
        let digest = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        for (pin, is_valid) in [
            (digest.to_owned(), true),
            (format!("sha256/{digest}"), true),
            (digest.trim_end_matches('=').to_owned(), false),
            (format!("sha1/{digest}"), false),
            ("AAAA".to_owned(), false),
            (String::new(), false),
        ] {
            let config = Tls::default().with_pin(pin.clone()).client_config();
            assert_eq!(config.is_ok(), is_valid, "{pin}");
        }
        let nobody = Tls::default().without_default_roots();
        assert!(matches!(nobody.client_config(), Err(Error::InvalidArgument(_))));
    }
}
