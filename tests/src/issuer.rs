//! A BrowserID issuer on a loopback port, which certifies whatever a test wants.

mod key;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::DomainServer;
pub use key::Key;

/// The path of an issuer's keys.
const DOCUMENT: &str = "/.well-known/browserid";

/// A loopback issuer that publishes its key, and mints assertions. Its name is `localhost` with its
/// port, which a server asks for keys only in development mode and only where it is listed.
#[derive(Debug)]
pub struct Issuer {
    /// Its web server.
    pub domain: DomainServer,
    /// With what it certifies.
    pub key: Key,
    /// With what its users sign.
    pub user_key: Key,
}

impl Issuer {
    /// An issuer with RSA keys, as are those of its users.
    pub async fn start() -> Self {
        Self::with_keys(Key::rsa(), Key::rsa()).await
    }

    /// An issuer with these keys.
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

    /// Its host, as a server lists it.
    pub fn host(&self) -> String {
        self.domain.name().replace("127.0.0.1", "localhost")
    }

    /// The e-mail of one of its own users.
    pub fn email(&self, name: &str) -> String {
        format!("{name}@{}", self.host())
    }

    /// Shows another support document from now on.
    pub fn publish(&self, document: &Value) {
        let kind = [("content-type", "application/json")];
        self.domain.answer(DOCUMENT, "200 OK", &kind, document.to_string().as_bytes());
    }

    /// An assertion of one of its users for an audience, valid for ten minutes.
    pub fn assertion(&self, name: &str, audience: &str) -> String {
        self.mint(name, audience, |_, _| ())
    }

    /// The same, with the claims of the certificate and of the assertion changed before they are
    /// signed.
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
        // The nonce makes two assertions of the same millisecond different.
        let mut assertion = json!({"aud": audience, "exp": expires_at, "nonce": key::nonce()});
        change(&mut certificate, &mut assertion);
        format!("{}~{}", self.key.sign(&certificate), self.user_key.sign(&assertion))
    }
}

/// The time, in milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the server under test asks this machine too")]
pub fn now() -> u64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap())
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap()
}
