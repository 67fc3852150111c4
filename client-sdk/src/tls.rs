//! TLS: whom to trust, and who does the cryptography.

use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls::client::WantsClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;

use crate::error::Error;

/// Whom to trust. The default is Mozilla's list of certificate authorities, compiled in, or with the feature `platform-roots`
/// what the platform trusts.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    further: Vec<CertificateDer<'static>>,
    /// Made once for all clones: the list of roots is large, and a configuration remembers sessions to resume.
    made: Arc<OnceLock<Arc<ClientConfig>>>,
}

impl Tls {
    /// Trusts one more root certificate, in DER: for a company's own authority.
    #[must_use]
    pub fn with_root_certificate(mut self, der: Vec<u8>) -> Self {
        self.further.push(der.into());
        self.made = Arc::default();
        self
    }

    pub(crate) fn client_config(&self) -> Result<Arc<ClientConfig>, Error> {
        static OF_ALL: OnceLock<Arc<ClientConfig>> = OnceLock::new();
        let made = if self.further.is_empty() { &OF_ALL } else { &*self.made };
        if let Some(config) = made.get() {
            return Ok(Arc::clone(config));
        }
        let config = self.make()?;
        Ok(Arc::clone(made.get_or_init(|| config)))
    }

    fn make(&self) -> Result<Arc<ClientConfig>, Error> {
        let provider = provider()?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&error))?;
        let trusting = self.trust(builder, provider)?;
        Ok(Arc::new(trusting.with_no_client_auth()))
    }

    #[cfg(feature = "platform-roots")]
    fn trust(&self, builder: Builder, provider: Arc<CryptoProvider>) -> Result<Trusting, Error> {
        let further = self.further.iter().cloned();
        let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(further, provider)
            .map_err(|error| unusable(&error))?;
        Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)))
    }

    #[cfg(not(feature = "platform-roots"))]
    fn trust(&self, builder: Builder, _provider: Arc<CryptoProvider>) -> Result<Trusting, Error> {
        let mut roots = rustls::RootCertStore::empty();
        #[cfg(feature = "bundled-roots")]
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        for certificate in &self.further {
            roots.add(certificate.clone()).map_err(|error| unusable(&error))?;
        }
        Ok(builder.with_root_certificates(roots))
    }
}

type Builder = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;
type Trusting = rustls::ConfigBuilder<ClientConfig, WantsClientCert>;

#[cfg_attr(
    any(feature = "ring", feature = "aws-lc-rs"),
    expect(clippy::unnecessary_wraps, reason = "without these features there may be none")
)]
fn provider() -> Result<Arc<CryptoProvider>, Error> {
    #[cfg(feature = "ring")]
    return Ok(Arc::new(rustls::crypto::ring::default_provider()));
    #[cfg(all(feature = "aws-lc-rs", not(feature = "ring")))]
    return Ok(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    #[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
    CryptoProvider::get_default().map(Arc::clone).ok_or_else(|| {
        Error::InvalidArgument("no cryptography for TLS was chosen or installed".to_owned())
    })
}

fn unusable(error: &rustls::Error) -> Error {
    Error::InvalidArgument(format!("TLS cannot be used: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_made_once_for_all_who_trust_the_same() {
        let config = |tls: &Tls| tls.client_config().unwrap();
        assert!(Arc::ptr_eq(&config(&Tls::default()), &config(&Tls::default())));
    }

    #[test]
    fn a_root_that_is_no_certificate_is_refused_when_it_is_used() {
        let tls = Tls::default().with_root_certificate(b"not a certificate".to_vec());
        assert!(matches!(tls.client_config(), Err(Error::InvalidArgument(_))));
        assert!(Tls::default().client_config().is_ok());
    }
}
