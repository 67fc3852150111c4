//! An issuer for development: every client may sign in as any user of `dev.localhost`.
//!
//! Its assertions are verified by the same code as all others; only its keys come from memory
//! instead of from its host. The host is under a reserved name, so its e-mails belong to no real
//! user. Its keys exist as long as the process, or as long as the database by which servers share
//! them. The caller decides whether to have such an issuer: every client that can reach the server
//! can then use `dev.localhost`.

use presence_core::UnixMillis;
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use num_bigint::BigUint;
use serde_json::{Value, json};

use crate::browserid::{Audience, HostSyntax, PinnedKeys, SupportDocument, email_host};

/// The time by which certificates are backdated, for clocks that are slow.
const BACKDATING: Duration = Duration::from_secs(10);
/// The longest lifetime of a certificate that the format allows.
const MAX_LIFETIME: Duration = Duration::from_hours(24);

/// An issuer of assertions for `<local>@dev.localhost`.
pub struct DevIssuer {
    issuer: RsaKeyPair,
    user: RsaKeyPair,
    user_key: Value,
    support_document: Value,
    keys: PinnedKeys,
}

/// The error of making an assertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DevIssuerError {
    /// The e-mail is not one of this issuer's.
    #[error("not an e-mail address @dev.localhost")]
    ForeignEmail,
    /// The audience is not a bare origin.
    #[error("the audience is not an origin such as http://localhost:8080")]
    InvalidAudience,
    /// The lifetime is longer than 24 hours.
    #[error("the lifetime is longer than 24 hours")]
    TooLong,
    /// Making keys or a signature failed.
    #[error("the cryptographic library failed")]
    Crypto,
}

impl DevIssuer {
    /// The host of this issuer and of all its e-mails.
    pub const HOST: &str = "dev.localhost";

    /// The default lifetime of an assertion.
    pub const DEFAULT_LIFETIME: Duration = Duration::from_mins(10);

    /// Creates an issuer with two new keys: one of its own, and one that all its users share. This
    /// takes some tenths of a second.
    ///
    /// # Errors
    /// [`DevIssuerError::Crypto`].
    pub fn new() -> Result<Self, DevIssuerError> {
        Self::with_keys(&Self::generate_key()?, &Self::generate_key()?)
    }

    /// Generates a key, as PKCS#8.
    ///
    /// # Errors
    /// [`DevIssuerError::Crypto`].
    pub fn generate_key() -> Result<Vec<u8>, DevIssuerError> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| DevIssuerError::Crypto)?;
        let der: Pkcs8V1Der<'static> = pair.as_der().map_err(|_| DevIssuerError::Crypto)?;
        Ok(der.as_ref().to_vec())
    }

    /// Creates an issuer with these keys: one of its own, and one that all its users share.
    ///
    /// # Errors
    /// [`DevIssuerError::Crypto`].
    pub fn with_keys(issuer: &[u8], user: &[u8]) -> Result<Self, DevIssuerError> {
        let (issuer, issuer_key) = read_key(issuer)?;
        let (user, user_key) = read_key(user)?;
        let support_document = json!({ "public-key": issuer_key, "authentication": "/auth", "provisioning": "/provision" });
        let document = SupportDocument::parse(support_document.to_string().as_bytes())
            .ok_or(DevIssuerError::Crypto)?;
        let keys = PinnedKeys::new().with(Self::HOST, document);
        Ok(Self { issuer, user, user_key, support_document, keys })
    }

    /// Returns the support document of this issuer, for other verifiers. This server itself does
    /// not fetch it.
    pub fn support_document(&self) -> &Value {
        &self.support_document
    }

    /// Returns a source that contains only the document of this issuer.
    pub fn key_source(&self) -> PinnedKeys {
        self.keys.clone()
    }

    /// Makes an assertion of `email` for `audience` that is valid from `now` on for `lifetime`.
    /// Each assertion is different.
    ///
    /// # Errors
    /// [`DevIssuerError`] if an argument is not valid or the cryptographic library fails.
    pub fn assertion(
        &self,
        email: &str,
        audience: &str,
        now: UnixMillis,
        lifetime: Duration,
    ) -> Result<String, DevIssuerError> {
        if email_host(email, HostSyntax::Public) != Some(Self::HOST) {
            return Err(DevIssuerError::ForeignEmail);
        }
        Audience::parse(audience).map_err(|_| DevIssuerError::InvalidAudience)?;
        if lifetime > MAX_LIFETIME {
            return Err(DevIssuerError::TooLong);
        }
        let expires_at = now + lifetime;
        let certificate = json!({
            "iss": Self::HOST,
            "iat": now - BACKDATING,
            "exp": expires_at,
            "public-key": self.user_key,
            "principal": { "email": email },
        });
        let mut nonce = [0; 16];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| DevIssuerError::Crypto)?;
        let assertion = json!({ "aud": audience, "exp": expires_at, "nonce": hex::encode(nonce) });
        Ok(format!("{}~{}", sign(&self.issuer, &certificate)?, sign(&self.user, &assertion)?))
    }
}

fn sign(key: &RsaKeyPair, payload: &Value) -> Result<String, DevIssuerError> {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#);
    let input = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload.to_string()));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input.as_bytes(), &mut signature)
        .map_err(|_| DevIssuerError::Crypto)?;
    Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// Reads a key pair. Returns it with its public half in the format of 2013.
fn read_key(key: &[u8]) -> Result<(RsaKeyPair, Value), DevIssuerError> {
    let pair = RsaKeyPair::from_pkcs8(key).map_err(|_| DevIssuerError::Crypto)?;
    let (modulus, exponent) =
        rsa_numbers(pair.public_key().as_ref()).ok_or(DevIssuerError::Crypto)?;
    let public = json!({ "algorithm": "RS", "n": modulus.to_string(), "e": exponent.to_string() });
    Ok((pair, public))
}

/// Reads the modulus and the exponent of an `RSAPublicKey` in DER. It is used for the keys of this
/// issuer only, so it need not be strict.
fn rsa_numbers(der: &[u8]) -> Option<(BigUint, BigUint)> {
    let (sequence, _) = der_element(der, 0x30)?;
    let (modulus, rest) = der_element(sequence, 0x02)?;
    let (exponent, _) = der_element(rest, 0x02)?;
    Some((BigUint::from_bytes_be(modulus), BigUint::from_bytes_be(exponent)))
}

/// Returns the contents of the first element, if it has the expected tag, and the rest.
fn der_element(der: &[u8], expected: u8) -> Option<(&[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let long = usize::from(first & 0x7f);
    let (length, rest) = if first & 0x80 == 0 {
        (long, rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(long)?;
        let length = bytes
            .iter()
            .try_fold(0_usize, |sum, byte| sum.checked_mul(256)?.checked_add(usize::from(*byte)))?;
        (length, rest)
    };
    (*tag == expected).then(|| rest.split_at_checked(length))?
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, LazyLock};

    use super::*;
    use crate::browserid::{BrowserId, Policy};
    use crate::identity::{Reason, Verifier as _};

    const NOW: UnixMillis = UnixMillis::new(1_767_225_600_000);
    const SITE: &str = "http://localhost:8080";
    const LIFETIME: Duration = DevIssuer::DEFAULT_LIFETIME;

    static ISSUER: LazyLock<DevIssuer> = LazyLock::new(|| DevIssuer::new().unwrap());

    #[tokio::test]
    async fn assertions_of_the_development_issuer_pass_the_ordinary_verifier() {
        for site in [SITE, "http://127.0.0.1:8080"] {
            let assertion = ISSUER.assertion("alice@dev.localhost", site, NOW, LIFETIME).unwrap();
            let identity = verifier(ISSUER.key_source()).verify(&assertion, NOW).await.unwrap();
            assert_eq!(identity.email, "alice@dev.localhost");
            assert_eq!(identity.issuer, DevIssuer::HOST);
            assert_eq!(identity.expires_at, NOW + Duration::from_mins(10));
        }
    }

    #[tokio::test]
    async fn assertions_of_the_development_issuer_expire_and_have_one_audience() {
        let verifier = verifier(ISSUER.key_source());
        let assertion = ISSUER.assertion("alice@dev.localhost", SITE, NOW, LIFETIME).unwrap();
        assert_eq!(
            verifier.verify(&assertion, NOW + Duration::from_secs(700)).await,
            Err(Reason::Expired.into())
        );
        let elsewhere =
            ISSUER.assertion("alice@dev.localhost", "http://localhost:9", NOW, LIFETIME).unwrap();
        assert_eq!(verifier.verify(&elsewhere, NOW).await, Err(Reason::AudienceMismatch.into()));
    }

    #[tokio::test]
    async fn assertions_of_another_process_are_rejected() {
        let other = DevIssuer::new().unwrap();
        let assertion = other.assertion("alice@dev.localhost", SITE, NOW, LIFETIME).unwrap();
        let rejected = verifier(ISSUER.key_source()).verify(&assertion, NOW).await;
        assert_eq!(rejected, Err(Reason::BadSignature.into()));
        let rejected = verifier(PinnedKeys::new()).verify(&assertion, NOW).await;
        assert_eq!(rejected, Err(Reason::UntrustedIssuer.into()));
    }

    #[tokio::test]
    async fn issuers_with_the_same_keys_accept_the_assertions_of_each_other() {
        let keys = [(); 2].map(|()| DevIssuer::generate_key().unwrap());
        let [one, other] = [(); 2].map(|()| DevIssuer::with_keys(&keys[0], &keys[1]).unwrap());
        let assertion = one.assertion("alice@dev.localhost", SITE, NOW, LIFETIME).unwrap();
        assert!(verifier(other.key_source()).verify(&assertion, NOW).await.is_ok());
        assert!(DevIssuer::with_keys(&keys[0], b"no key").is_err());
    }

    #[tokio::test]
    async fn two_assertions_of_the_same_millisecond_have_different_digests() {
        let mint = || ISSUER.assertion("alice@dev.localhost", SITE, NOW, LIFETIME).unwrap();
        let (first, second) = (mint(), mint());
        assert_ne!(first, second);
        let verifier = verifier(ISSUER.key_source());
        let (first, second) =
            tokio::join!(verifier.verify(&first, NOW), verifier.verify(&second, NOW));
        assert_ne!(first.unwrap().digest, second.unwrap().digest);
    }

    #[test]
    fn the_development_issuer_makes_no_assertions_for_other_domains() {
        let attempt =
            |email, site, lifetime| ISSUER.assertion(email, site, NOW, lifetime).unwrap_err();
        for email in [
            "alice@idp.example",
            "alice@DEV.localhost",
            "a\"b@dev.localhost",
            "@dev.localhost",
            "dev.localhost",
        ] {
            assert_eq!(attempt(email, SITE, LIFETIME), DevIssuerError::ForeignEmail, "{email}");
        }
        assert_eq!(attempt("a@dev.localhost", "*", LIFETIME), DevIssuerError::InvalidAudience);
        assert_eq!(attempt("a@dev.localhost", SITE, Duration::MAX), DevIssuerError::TooLong);
    }

    fn verifier(keys: PinnedKeys) -> BrowserId {
        let audiences = [SITE, "http://127.0.0.1:8080"].map(|site| Audience::parse(site).unwrap());
        BrowserId::new(Arc::new(keys), audiences.to_vec(), Policy::default())
    }
}
