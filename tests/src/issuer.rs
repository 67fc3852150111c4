//! A BrowserID issuer on a loopback port, which certifies whatever a test needs.

mod key;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::DomainServer;
pub use key::Key;

/// The path of an issuer's support document.
const DOCUMENT: &str = "/.well-known/browserid";

/// A loopback issuer that publishes its key and mints assertions. Its name is `localhost` with its
/// port. A server asks it for keys only in development mode, and only if it is listed.
#[derive(Debug)]
pub struct Issuer {
    /// The web server of the issuer.
    pub domain: DomainServer,
    /// The key that signs certificates.
    pub key: Key,
    /// The key of its users, which signs assertions.
    pub user_key: Key,
}

impl Issuer {
    /// Starts an issuer with RSA keys for itself and its users.
    pub async fn start() -> Self {
        Self::with_keys(Key::rsa(), Key::rsa()).await
    }

    /// Starts an issuer with the given keys.
    pub async fn with_keys(key: Key, user_key: Key) -> Self {
        let domain = DomainServer::start().await;
        let issuer = Self { domain, key, user_key };
        issuer.publish(&json!({
            "authentication": "/sign_in",
            "provisioning": "/provision",
            "public-key": issuer.key.public(),
        }));
        issuer
    }

    /// Returns the host of the issuer, as the settings of a server list it.
    pub fn host(&self) -> String {
        self.domain.name().replace("127.0.0.1", "localhost")
    }

    /// Returns the e-mail address of a user of the issuer.
    pub fn email(&self, name: &str) -> String {
        format!("{name}@{}", self.host())
    }

    /// Publishes another support document.
    pub fn publish(&self, document: &Value) {
        let kind = [("content-type", "application/json")];
        self.domain.answer(DOCUMENT, "200 OK", &kind, document.to_string().as_bytes());
    }

    /// Returns an assertion of a user for an audience, which is valid for ten minutes.
    pub fn assertion(&self, name: &str, audience: &str) -> String {
        self.mint(name, audience, |_, _| ())
    }

    /// Returns such an assertion, with the claims of the certificate and of the assertion changed
    /// before they are signed.
    pub fn mint(
        &self,
        name: &str,
        audience: &str,
        change: impl FnOnce(&mut Value, &mut Value),
    ) -> String {
        let now = now();
        let expires_at = now + millis(Duration::from_mins(10));
        let mut certificate = json!({
            "iss": self.host(),
            "iat": now - 10_000,
            "exp": expires_at,
            "principal": {"email": self.email(name)},
            "public-key": self.user_key.public(),
        });
        // The nonce distinguishes two assertions of the same millisecond.
        let mut assertion = json!({"aud": audience, "exp": expires_at, "nonce": key::nonce()});
        change(&mut certificate, &mut assertion);
        format!("{}~{}", self.key.sign(&certificate), self.user_key.sign(&assertion))
    }
}

/// Returns the current time in milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the server under test uses the same clock")]
pub fn now() -> u64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap())
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap()
}
