//! A certificate authority of one test, for servers that speak TLS.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;

/// A certificate authority, and the certificate and key files of a server.
#[derive(Debug, Clone)]
pub struct CertificateAuthority {
    inner: Arc<Inner>,
}

struct Inner {
    directory: TempDir,
    root: CertificateDer<'static>,
    root_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Inner({})", self.directory.path().display())
    }
}

impl Default for CertificateAuthority {
    fn default() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap();
        let (root, root_pem) = (root.der().clone(), root.pem());
        let issuer = Issuer::new(params, key);
        let inner = Inner { directory: tempfile::tempdir().unwrap(), root, root_pem, issuer };
        let authority = Self { inner: Arc::new(inner) };
        authority.issue();
        authority
    }
}

impl CertificateAuthority {
    /// Returns the path of the certificate.
    pub fn certificate(&self) -> PathBuf {
        self.inner.directory.path().join("certificate.pem")
    }

    /// Returns the path of the key.
    pub fn key(&self) -> PathBuf {
        self.inner.directory.path().join("key.pem")
    }

    /// Writes a new certificate and a new key into the files, and returns the certificate.
    pub fn issue(&self) -> CertificateDer<'static> {
        let (certificate, key) = self.issue_certificate();
        std::fs::write(self.key(), key).unwrap();
        certificate
    }

    /// Writes a certificate for a new key into the certificate file, and returns both. The key file
    /// still holds the old key.
    pub fn issue_certificate(&self) -> (CertificateDer<'static>, String) {
        let key = KeyPair::generate().unwrap();
        (self.certify(&key), key.serialize_pem())
    }

    /// Writes a new certificate for the same key into its file, and returns it.
    pub fn renew(&self) -> CertificateDer<'static> {
        let key = std::fs::read_to_string(self.key()).unwrap();
        self.certify(&KeyPair::from_pem(&key).unwrap())
    }

    /// Writes a certificate for the same key that ended in 2020.
    pub fn expire(&self) {
        let key = std::fs::read_to_string(self.key()).unwrap();
        let mut leaf = Self::leaf();
        leaf.not_before = rcgen::date_time_ymd(2019, 1, 1);
        leaf.not_after = rcgen::date_time_ymd(2020, 1, 1);
        let leaf = leaf.signed_by(&KeyPair::from_pem(&key).unwrap(), &self.inner.issuer).unwrap();
        std::fs::write(self.certificate(), leaf.pem()).unwrap();
    }

    fn leaf() -> CertificateParams {
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        CertificateParams::new(names).unwrap()
    }

    fn certify(&self, key: &KeyPair) -> CertificateDer<'static> {
        let leaf = Self::leaf().signed_by(key, &self.inner.issuer).unwrap();
        std::fs::write(self.certificate(), leaf.pem()).unwrap();
        leaf.der().clone()
    }

    /// Returns the authority's own certificate.
    pub fn root(&self) -> &CertificateDer<'static> {
        &self.inner.root
    }

    /// Returns the same certificate as PEM.
    pub fn root_pem(&self) -> &str {
        &self.inner.root_pem
    }

    /// Returns the configuration of a client that trusts only this authority.
    pub fn client(&self) -> Arc<ClientConfig> {
        self.client_of(&[&TLS13, &TLS12])
    }

    /// Returns the same configuration for the given TLS versions only.
    pub fn client_of(&self, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.inner.root.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider);
        let config = config.with_protocol_versions(versions).unwrap();
        Arc::new(config.with_root_certificates(roots).with_no_client_auth())
    }
}
