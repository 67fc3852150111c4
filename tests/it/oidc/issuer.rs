//! An OpenID Connect issuer on loopback that signs the tokens of a test.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use presence_tests::{DomainServer, Server, ServerOptions};
use serde_json::{Value, json};

pub(super) const EMAIL: &str = "alice@mail.example";
const KEYS: &str = "/keys";
const TOKEN: &str = "/token";

/// A signing key with its `kid`.
pub(super) struct OidcKey {
    kid: String,
    pair: EcdsaKeyPair,
}

impl OidcKey {
    pub(super) fn new(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { kid: kid.to_owned(), pair }
    }

    fn published(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (x, y) = (number(&point[1..33]), number(&point[33..]));
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": self.kid, "x": x, "y": y})
    }

    /// Returns a token with these claims, signed with this `kid` in the header.
    fn sign(&self, kid: &str, claims: &Value) -> String {
        let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = encoded(&json!({"alg": "ES256", "kid": kid}));
        let input = format!("{header}.{}", encoded(claims));
        let signature = self.pair.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// A running issuer with its first key.
pub(super) struct OidcIssuer {
    domain: DomainServer,
    pub(super) key: OidcKey,
}

impl OidcIssuer {
    pub(super) async fn start() -> Self {
        let issuer = Self { domain: DomainServer::start().await, key: OidcKey::new("first") };
        issuer.publish_keys_url(&format!("{}{KEYS}", issuer.url()));
        issuer.publish(&[&issuer.key]);
        issuer
    }

    /// Publishes the address of its keys.
    pub(super) fn publish_keys_url(&self, url: &str) {
        let document = json!({
            "issuer": self.url(), "jwks_uri": url, "token_endpoint": format!("{}{TOKEN}", self.url()),
            "authorization_endpoint": format!("{}/authorize", self.url()),
        });
        let document = document.to_string();
        let path = "/.well-known/openid-configuration";
        self.domain.answer(path, "200 OK", &[], document.as_bytes());
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.domain.name())
    }

    /// Publishes exactly these keys.
    pub(super) fn publish(&self, keys: &[&OidcKey]) {
        let keys: Vec<Value> = keys.iter().map(|key| key.published()).collect();
        let document = json!({ "keys": keys }).to_string();
        self.domain.answer(KEYS, "200 OK", &[], document.as_bytes());
    }

    /// Returns this token for any code from now on.
    pub(super) fn return_token(&self, token: &str) {
        let document = json!({"id_token": token}).to_string();
        self.domain.answer(TOKEN, "200 OK", &[], document.as_bytes());
    }

    /// Stops the web server. Another server gets its port, and closes every connection.
    pub(super) async fn stop(&mut self) {
        self.domain = DomainServer::start().await;
    }

    /// Returns the number of requests for the keys.
    pub(super) fn key_requests(&self) -> usize {
        self.domain.requested_paths().iter().filter(|path| *path == KEYS).count()
    }

    /// Returns the settings of this issuer, with changes.
    pub(super) fn issuer_settings(&self, changes: &Value) -> Value {
        issuer_settings(&self.url(), changes)
    }

    /// Starts a server that trusts this issuer.
    pub(super) async fn server(&self, options: ServerOptions) -> Server {
        Server::start(with_issuers(options, &[self.issuer_settings(&json!({}))])).await
    }

    /// Returns a token for alice with changes to its claims; `null` removes a claim. No two tokens
    /// are equal.
    pub(super) fn token(&self, changes: &Value) -> String {
        self.token_by(&self.key, &self.key.kid, changes)
    }

    /// Returns a token that is signed with this key and has this `kid` in its header.
    pub(super) fn token_by(&self, key: &OidcKey, kid: &str, changes: &Value) -> String {
        let mut claims = json!({
            "iss": self.url(), "sub": "24", "aud": "presence", "iat": seconds(), "exp": seconds() + 300,
            "email": EMAIL, "email_verified": true, "jti": unique(),
        });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        key.sign(kid, &claims)
    }
}

/// Returns the settings of an issuer, with changes.
pub(super) fn issuer_settings(url: &str, changes: &Value) -> Value {
    let mut settings = json!({
        "name": "idp", "issuer": url, "client_ids": ["presence"], "algorithms": ["ES256"],
        "email_domains": ["mail.example"],
    });
    settings.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    settings
}

/// Adds these trusted issuers to the options.
pub(super) fn with_issuers(options: ServerOptions, issuers: &[Value]) -> ServerOptions {
    options.with("oidc-issuers", json!(issuers))
}

/// Returns the seconds since 1970 UTC.
#[expect(clippy::disallowed_methods, reason = "the server runs by the same clock")]
pub(super) fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn unique() -> usize {
    static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}
