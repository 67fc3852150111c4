//! The configuration of rustls.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ConfigBuilder, Error, ServerConfig, WantsVerifier};

/// The only protocol offered by ALPN: old clients cannot open a WebSocket over HTTP/2.
const ALPN_PROTOCOL: &[u8] = b"http/1.1";

/// Returns the provider of all cryptography.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Returns the configuration with a certificate, for HTTP.
pub(super) fn with_certificate(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, Error> {
    let config = builder()?.with_no_client_auth().with_single_cert(chain, key)?;
    Ok(for_protocol(config, ALPN_PROTOCOL))
}

/// Returns the configuration of a server that has no certificate: each handshake fails with the
/// alert `access_denied`.
pub(super) fn without_certificate() -> Result<ServerConfig, Error> {
    let config = builder()?.with_no_client_auth().with_cert_resolver(Arc::new(NoCertificate));
    Ok(for_protocol(config, ALPN_PROTOCOL))
}

/// Returns the configuration with a certificate that answers a challenge.
pub(super) fn for_challenge(
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    protocol: &[u8],
) -> Result<ServerConfig, Error> {
    // The usual way would check the certificate, which has an extension that only an authority has
    // to understand.
    let key = provider().key_provider.load_private_key(key)?;
    let resolver = SingleCertAndKey::from(CertifiedKey::new(vec![certificate], key));
    let config = builder()?.with_no_client_auth().with_cert_resolver(Arc::new(resolver));
    Ok(for_protocol(config, protocol))
}

/// Returns a configuration that speaks one protocol only.
fn for_protocol(mut config: ServerConfig, protocol: &[u8]) -> ServerConfig {
    config.alpn_protocols = vec![protocol.to_vec()];
    config
}

fn builder() -> Result<ConfigBuilder<ServerConfig, WantsVerifier>, Error> {
    ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()
}

#[derive(Debug)]
struct NoCertificate;

impl ResolvesServerCert for NoCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}
