//! The answers to challenges: the certificate that a certificate authority wants to see on a
//! connection with the protocol `acme-tls/1` (RFC 8737).
//!
//! Anyone can ask for an answer, so each name is looked up in the database at most once a second,
//! and only names of the settings are looked up.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use presence_core::Steady;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::sync::Mutex;

use super::records::{ANSWER_BYTES, SealedRecords};
use crate::tls::config;

/// The protocol of a connection that asks for an answer.
pub(super) const CHALLENGE_PROTOCOL: &[u8] = b"acme-tls/1";
/// The time for which an answer, or that there is none, is not looked up again.
pub(super) const CACHED_FOR: Duration = Duration::from_secs(1);

/// The answers, at most one for each name of the settings.
pub(super) struct Challenges {
    records: SealedRecords,
    cached: Mutex<HashMap<String, CachedAnswer>>,
}

/// The answer for a name, as it was last looked up.
struct CachedAnswer {
    read_at: Steady,
    answer: Option<([u8; ANSWER_BYTES], Arc<ServerConfig>)>,
}

impl Challenges {
    pub(super) fn new(records: SealedRecords) -> Self {
        Self { records, cached: Mutex::default() }
    }

    /// Returns the configuration of a connection that answers the challenge for a name of the
    /// settings, if there is one.
    pub(super) async fn answer(&self, name: &str) -> Option<Arc<ServerConfig>> {
        // The lock is held over the lookup, so that many connections share one.
        let mut cached = self.cached.lock().await;
        let (now, known) = (self.records.steady(), cached.get(name));
        if let Some(known) = known.filter(|known| now - known.read_at < CACHED_FOR) {
            return known.config();
        }
        let stored = match self.records.challenge(name).await {
            Ok(stored) => stored,
            Err(error) => {
                tracing::debug!(%error, "tls.acme_challenge");
                return None;
            }
        };
        let answer = stored.and_then(|answer| match known.and_then(|known| known.answer.clone()) {
            Some(known) if known.0 == answer => Some(known),
            Some(_) | None => Some((answer, Arc::new(certificate(name, answer)?))),
        });
        let entry = CachedAnswer { read_at: now, answer };
        let config = entry.config();
        cached.insert(name.to_owned(), entry);
        config
    }
}

impl CachedAnswer {
    fn config(&self) -> Option<Arc<ServerConfig>> {
        self.answer.as_ref().map(|(_, config)| Arc::clone(config))
    }
}

/// Makes the certificate with an answer.
fn certificate(name: &str, answer: [u8; ANSWER_BYTES]) -> Option<ServerConfig> {
    let mut params = CertificateParams::new(vec![name.to_owned()]).ok()?;
    params.distinguished_name = DistinguishedName::new();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(&answer)];
    let key = KeyPair::generate().ok()?;
    let certificate = params.self_signed(&key).ok()?.der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).ok()?;
    config::for_challenge(certificate, key, CHALLENGE_PROTOCOL).ok()
}

#[cfg(test)]
mod tests {
    use x509_parser::prelude::{FromDer as _, X509Certificate};

    use super::*;

    #[test]
    fn the_certificate_of_an_answer_is_for_one_name_and_has_the_critical_extension() {
        let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(&[7; ANSWER_BYTES])];
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let (_, parsed) = X509Certificate::from_der(certificate.der()).unwrap();
        let identifier = parsed
            .extensions()
            .iter()
            .find(|extension| extension.oid.to_id_string() == "1.3.6.1.5.5.7.1.31")
            .unwrap();
        assert!(identifier.critical);
        assert_eq!(identifier.value, [&[4, 32], [7; ANSWER_BYTES].as_slice()].concat());
        let config = super::certificate("a.example", [7; ANSWER_BYTES]).unwrap();
        assert_eq!(config.alpn_protocols, [CHALLENGE_PROTOCOL.to_vec()]);
    }
}
