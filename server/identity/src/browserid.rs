//! BrowserID: backed-identity assertions of Persona and Mozilla accounts (rules 1 to 32).
//!
//! An assertion is `certificate~assertion`: the issuer certifies the user's key, and that key signs
//! the audience. Only the format of `login.persona.org` is supported, with or without JWK keys.
//!
//! The checks have a fixed order, cheap and offline first: size, syntax, claims, audience, times,
//! names, issuer, discovery, certificate signature, user key, assertion signature. An assertion
//! that fails an early check causes no request and no expensive arithmetic.
//!
//! Certificate chains and formats that were never deployed are not supported. Keys come from a
//! [`KeySource`].

mod cpu_pool;

mod authority;
mod claims;

mod account;

mod discovery;
mod document_cache;

mod client_quotas;

mod key_source;

mod policy;
mod support_document;

#[cfg(feature = "browserid-dsa")]
mod dsa_key;
mod key;
mod padding;

mod audience;
mod names;

#[cfg(test)]
#[cfg(feature = "browserid-dsa")]
mod vectors;

use presence_core::UnixMillis;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::digest;
use serde_json::{Map, Value};

pub use self::audience::{Audience, InvalidAudience};
pub use self::discovery::{Discovery, DiscoveryScope};
pub use self::key::{BrowserIdAlgorithm, InvalidKey, PublicKey};
pub use self::key_source::{DocumentQuery, KeySource, KeySourceChain, LookupError, PinnedKeys};
pub use self::names::is_issuer_host;
pub use self::policy::Policy;
pub use self::support_document::SupportDocument;

use self::authority::AuthoritySearch;
use self::claims::{Assertion, Certificate};
use self::cpu_pool::CpuPool;
pub(crate) use self::names::{HostSyntax, email_host};
use crate::identity::{Identity, IdentityError, Reason, Verifier};
use crate::jws::{Jws, SignedMessage};

/// The verifier of backed-identity assertions.
pub struct BrowserId {
    keys: Arc<dyn KeySource>,
    audiences: Vec<Audience>,
    policy: Policy,
    cpu_pool: CpuPool,
}

/// A verified assertion with all its claims.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifiedAssertion {
    /// The verified identity.
    pub identity: Identity,
    /// The other claims of the issuer.
    pub idp_claims: Map<String, Value>,
    /// The other claims of the user.
    pub user_claims: Map<String, Value>,
}

impl BrowserId {
    /// Creates a verifier that accepts assertions for one of `audiences`, by issuers whose keys are
    /// in `keys`, under `policy`.
    pub fn new(keys: Arc<dyn KeySource>, audiences: Vec<Audience>, policy: Policy) -> Self {
        Self { keys, audiences, policy, cpu_pool: CpuPool::new() }
    }

    /// Verifies `proof` at the time `now`. Returns also the claims that [`Identity`] does not have.
    ///
    /// # Errors
    /// The same as [`Verifier::verify`].
    pub async fn verify_with_claims(
        &self,
        proof: &str,
        now: UnixMillis,
        client: Option<IpAddr>,
    ) -> Result<VerifiedAssertion, IdentityError> {
        let parts = UnverifiedAssertion::read(proof, &self.policy)?;
        let domain = self.check_offline(&parts, now)?;
        let issuer = &parts.certificate.issuer;
        let search = AuthoritySearch { source: &*self.keys, policy: &self.policy, domain, client };
        let keys = search.issuer_keys(issuer).await?;
        let digest = parts.digest();
        let UnverifiedAssertion { certificate_message, certificate, assertion_message, assertion } =
            parts;
        self.check_certificate_signature(certificate_message, keys).await?;
        self.check_assertion_signature(assertion_message, &certificate.public_key).await?;
        let email = self.email(&certificate)?;
        let expires_at = certificate.validity.expires_at.min(assertion.validity.expires_at);
        let identity = Identity {
            issuer: certificate.issuer,
            subject: certificate.principal,
            email,
            expires_at,
            accepted_until: expires_at,
            digest,
            generation: certificate.generation,
        };
        Ok(VerifiedAssertion {
            identity,
            idp_claims: certificate.claims,
            user_claims: assertion.claims,
        })
    }

    /// Checks the audience, times and names, and that the issuer is allowed. Returns the domain of
    /// the principal.
    fn check_offline<'a>(
        &self,
        parts: &'a UnverifiedAssertion,
        now: UnixMillis,
    ) -> Result<&'a str, Reason> {
        let UnverifiedAssertion { certificate, assertion, .. } = parts;
        let audience =
            Audience::parse(&assertion.audience).map_err(|_| Reason::AudienceMismatch)?;
        if !self.audiences.contains(&audience) {
            return Err(Reason::AudienceMismatch);
        }
        assertion.validity.check(now, self.policy.skew)?;
        certificate.validity.check(now, self.policy.skew)?;
        // A used assertion is remembered until it ends.
        if assertion.validity.expires_at > now + self.policy.max_lifetime {
            return Err(Reason::TooLong);
        }
        let domain =
            email_host(&certificate.principal, self.policy.hosts()).ok_or(Reason::InvalidEmail)?;
        if !names::is_host(&certificate.issuer, self.policy.hosts()) {
            return Err(Reason::Malformed);
        }
        if !self.policy.allows(&certificate.issuer) {
            return Err(Reason::UntrustedIssuer);
        }
        Ok(domain)
    }

    /// Checks the signature of the issuer.
    async fn check_certificate_signature(
        &self,
        certificate_message: SignedMessage,
        keys: Arc<[PublicKey]>,
    ) -> Result<(), IdentityError> {
        let allowed = self.policy.issuer_algs.clone();
        let is_expensive = BrowserIdAlgorithm::is_dsa_name(&certificate_message.alg);
        let work = move || check_signature(&certificate_message, &keys, &allowed);
        Ok(if is_expensive { self.cpu_pool.run(work).await? } else { work() }?)
    }

    /// Checks the signature of the user with the certified key. This comes after the signature of
    /// the issuer (rule 29), because parsing the key can be expensive.
    async fn check_assertion_signature(
        &self,
        assertion_message: SignedMessage,
        key: &Value,
    ) -> Result<(), IdentityError> {
        let (allowed, key) = (self.policy.user_algs.clone(), key.clone());
        let is_expensive = key::declares_dsa(&key);
        let work = move || {
            let key = PublicKey::parse(&key).map_err(|_| Reason::BadKey)?;
            check_signature(&assertion_message, &[key], &allowed)
        };
        Ok(if is_expensive { self.cpu_pool.run(work).await? } else { work() }?)
    }

    /// Returns the principal, or the verified e-mail of the account if the policy uses that for
    /// this issuer.
    fn email(&self, certificate: &Certificate) -> Result<String, Reason> {
        let is_used = self.policy.fxa_verified_email && self.policy.trusts(&certificate.issuer);
        match &certificate.verified_email {
            Some(email) if is_used => {
                email_host(email, self.policy.hosts()).ok_or(Reason::InvalidEmail)?;
                Ok(email.clone())
            }
            Some(_) | None => Ok(certificate.principal.clone()),
        }
    }
}

#[async_trait]
impl Verifier for BrowserId {
    async fn verify(&self, proof: &str, now: UnixMillis) -> Result<Identity, IdentityError> {
        self.verify_for(proof, now, None).await
    }

    async fn verify_for(
        &self,
        proof: &str,
        now: UnixMillis,
        client: Option<IpAddr>,
    ) -> Result<Identity, IdentityError> {
        self.verify_with_claims(proof, now, client).await.map(|verified| verified.identity)
    }
}

/// Both parts of an assertion, parsed but not verified.
struct UnverifiedAssertion {
    certificate_message: SignedMessage,
    certificate: Certificate,
    assertion_message: SignedMessage,
    assertion: Assertion,
}

impl UnverifiedAssertion {
    fn read(proof: &str, policy: &Policy) -> Result<Self, Reason> {
        if proof.len() > policy.max_len {
            return Err(Reason::TooLarge);
        }
        let has_only_allowed_characters =
            proof.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte));
        if proof.is_empty() || !has_only_allowed_characters {
            return Err(Reason::Malformed);
        }
        let (certificate, assertion) = proof.split_once('~').ok_or(Reason::NoCertificate)?;
        if assertion.contains('~') {
            return Err(Reason::ChainTooLong);
        }
        let certificate = Jws::parse(certificate, policy.max_json_depth)?;
        let assertion = Jws::parse(assertion, policy.max_json_depth)?;
        Ok(Self {
            certificate_message: certificate.signed,
            certificate: Certificate::read(certificate.payload)?,
            assertion_message: assertion.signed,
            assertion: Assertion::read(assertion.payload)?,
        })
    }

    /// Returns the SHA-256 of both signed texts, which all spellings of one assertion share (rule
    /// 32).
    fn digest(&self) -> [u8; 32] {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(self.certificate_message.input.as_bytes());
        hash.update(b"~");
        hash.update(self.assertion_message.input.as_bytes());
        let mut result = [0; 32];
        result.iter_mut().zip(hash.finish().as_ref()).for_each(|(to, from)| *to = *from);
        result
    }
}

/// Verifies a signature with each key that matches the `alg` of the header, if that algorithm is
/// allowed.
fn check_signature(
    signed: &SignedMessage,
    keys: &[PublicKey],
    allowed: &[BrowserIdAlgorithm],
) -> Result<(), Reason> {
    let matching = || keys.iter().filter(|key| key.algorithm().name() == signed.alg);
    let algorithm = matching().next().ok_or(Reason::AlgMismatch)?.algorithm();
    if algorithm == BrowserIdAlgorithm::Rs64 || !allowed.contains(&algorithm) {
        return Err(Reason::WeakKey);
    }
    let is_valid = matching().any(|key| key.verify(signed.input.as_bytes(), &signed.signature));
    if is_valid { Ok(()) } else { Err(Reason::BadSignature) }
}
