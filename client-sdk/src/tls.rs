//! The configuration of TLS: the trusted certificate authorities and the cryptography provider.

use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls::client::WantsClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;

use crate::error::Error;

/// The trusted certificate authorities. The default is Mozilla's list, compiled in, or with the
/// feature `platform-roots` the list of the platform.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    extra_roots: Vec<CertificateDer<'static>>,
    /// The configuration, which all clones share: the list of roots is large, and a configuration
    /// stores sessions to resume.
    config: Arc<OnceLock<Arc<ClientConfig>>>,
}

impl Tls {
    /// Adds a trusted root certificate in DER, for example that of a company's own authority.
    #[must_use]
    pub fn with_root_certificate(mut self, der: Vec<u8>) -> Self {
        self.extra_roots.push(der.into());
        self.config = Arc::default();
        self
    }

    pub(crate) fn client_config(&self) -> Result<Arc<ClientConfig>, Error> {
        static DEFAULT: OnceLock<Arc<ClientConfig>> = OnceLock::new();
        let shared = if self.extra_roots.is_empty() { &DEFAULT } else { &*self.config };
        if let Some(config) = shared.get() {
            return Ok(Arc::clone(config));
        }
        let config = self.build()?;
        Ok(Arc::clone(shared.get_or_init(|| config)))
    }

    fn build(&self) -> Result<Arc<ClientConfig>, Error> {
        let provider = provider()?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&error))?;
        let builder = self.trust(builder, provider)?;
        Ok(Arc::new(builder.with_no_client_auth()))
    }

    #[cfg(feature = "platform-roots")]
    fn trust(
        &self,
        builder: ConfigBuilder,
        provider: Arc<CryptoProvider>,
    ) -> Result<BuilderWithRoots, Error> {
        let extra_roots = self.extra_roots.iter().cloned();
        let verifier =
            rustls_platform_verifier::Verifier::new_with_extra_roots(extra_roots, provider)
                .map_err(|error| unusable(&error))?;
        Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)))
    }

    #[cfg(not(feature = "platform-roots"))]
    fn trust(
        &self,
        builder: ConfigBuilder,
        _provider: Arc<CryptoProvider>,
    ) -> Result<BuilderWithRoots, Error> {
        let mut roots = rustls::RootCertStore::empty();
        #[cfg(feature = "bundled-roots")]
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        for certificate in &self.extra_roots {
            roots.add(certificate.clone()).map_err(|error| unusable(&error))?;
        }
        Ok(builder.with_root_certificates(roots))
    }
}

type ConfigBuilder = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;
type BuilderWithRoots = rustls::ConfigBuilder<ClientConfig, WantsClientCert>;

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

fn unusable(error: &rustls::Error) -> Error {
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
}
