//! A certificate of an authority, with its key.

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::tls::certificate::{Validity, names};
use crate::tls::config;

/// A certificate with its key.
#[derive(Clone)]
pub(super) struct IssuedCertificate {
    /// The chain of certificates in PEM, with the server's own first.
    pub(super) chain: String,
    /// The private key in PEM.
    key: SecretString,
    pub(super) validity: Validity,
    /// The names of the certificate.
    names: Vec<String>,
}

/// A certificate with its key, as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredCertificate<'a> {
    chain: std::borrow::Cow<'a, str>,
    key: std::borrow::Cow<'a, str>,
}

impl IssuedCertificate {
    /// Reads a chain in PEM, and checks that it can be served with this key.
    ///
    /// # Errors
    ///
    /// The reason in one line, without a part of the key.
    pub(super) fn new(chain: String, key: SecretString) -> Result<Self, String> {
        let first = CertificateDer::from_pem_slice(chain.as_bytes())
            .map_err(|_| "the certificate authority sent no certificate in PEM".to_owned())?;
        let validity = Validity::of(&first)
            .ok_or_else(|| "the certificate has no validity that can be read".to_owned())?;
        let certificate = Self { chain, key, validity, names: names(&first) };
        certificate.config()?;
        Ok(certificate)
    }

    /// Reads the stored form.
    ///
    /// # Errors
    ///
    /// The reason in one line, without a part of the key.
    pub(super) fn from_stored(stored: &[u8]) -> Result<Self, String> {
        let stored: StoredCertificate<'_> = serde_json::from_slice(stored)
            .map_err(|_| "the certificate in the database is damaged".to_owned())?;
        Self::new(stored.chain.into_owned(), stored.key.into_owned().into())
    }

    /// Returns the stored form.
    pub(super) fn to_stored(&self) -> Vec<u8> {
        let stored = StoredCertificate {
            chain: self.chain.as_str().into(),
            key: self.key.expose_secret().into(),
        };
        // Two strings have a form in JSON.
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    /// Returns true if the certificate is for each of these names.
    pub(super) fn covers(&self, names: &[String]) -> bool {
        names.iter().all(|name| self.names.contains(name))
    }

    /// Returns the configuration of connections with this certificate.
    ///
    /// # Errors
    ///
    /// The reason in one line, without a part of the key.
    pub(super) fn config(&self) -> Result<ServerConfig, String> {
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(self.chain.as_bytes()).collect();
        let chain = chain.map_err(|error| format!("the chain is not PEM: {error}"))?;
        let key = PrivateKeyDer::from_pem_slice(self.key.expose_secret().as_bytes())
            .map_err(|_| "the key of the certificate is damaged".to_owned())?;
        config::with_certificate(chain, key)
            .map_err(|error| format!("the certificate cannot be served: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issue(names: &[&str]) -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let names = names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    #[test]
    fn a_certificate_is_the_same_after_it_was_stored() {
        let (chain, key) = issue(&["a.example", "b.example"]);
        let issued = IssuedCertificate::new(chain.clone(), key.into()).unwrap();
        let stored = IssuedCertificate::from_stored(&issued.to_stored()).unwrap();
        assert_eq!((stored.chain, stored.validity), (chain, issued.validity));
        assert!(issued.covers(&["a.example".to_owned()]));
        assert!(!issued.covers(&["a.example".to_owned(), "c.example".to_owned()]));
    }

    #[test]
    fn a_certificate_for_another_key_is_refused_and_no_error_shows_a_key() {
        let ((chain, key), (_, other)) = (issue(&["a.example"]), issue(&["a.example"]));
        let error = |chain: &str, key: &str| {
            IssuedCertificate::new(chain.to_owned(), key.to_owned().into()).err().unwrap()
        };
        assert!(error(&chain, &other).contains("cannot be served"));
        assert!(error("no PEM", &key).contains("no certificate"));
        assert!(error(&chain, &key[..80]).contains("is damaged"));
        assert!(IssuedCertificate::from_stored(b"{}").is_err());
    }
}
