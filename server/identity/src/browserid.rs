//! BrowserID: backed-identity assertions, as the Persona and Mozilla-accounts clients of 2013 make
//! them.
//!
//! `certificate~assertion`: the issuer certifies the user's key, the user's key signs the audience.
//! The format of `login.persona.org` is read ("F0", with or without JWK keys) and no other. The
//! checks are in one fixed order, cheap and offline first, so that a stranger reaches neither the
//! network nor heavy arithmetic with something that could not pass anyway.
//!
//! Deliberately without certificate chains and without the formats that were never deployed. Keys
//! come from a [`KeySource`].

mod workshop;

mod authority;
mod claims;

mod account;

mod discovery;
mod remembered;

mod shares;

mod key_source;

mod policy;
mod support_document;

#[cfg(feature = "browserid-dsa")]
mod dsa_key;
mod key;

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

pub use self::audience::{Audience, NotAnAudience};
pub use self::discovery::{Discovery, Reach};
pub use self::key::{Algorithm, NotAKey, PublicKey};
pub use self::key_source::{FirstOf, KeySource, NoAnswer, PinnedKeys, Question};
pub use self::names::is_issuer_host;
pub use self::policy::Policy;
pub use self::support_document::SupportDocument;

use self::authority::Search;
use self::claims::{Assertion, Certificate};
pub(crate) use self::names::{Hosts, email_host};
use self::workshop::Workshop;
use crate::identity::{Identity, IdentityError, Reason, Verifier};
use crate::jws::{Jws, Signed};

/// Verifies backed-identity assertions.
pub struct BrowserId {
    keys: Arc<dyn KeySource>,
    audiences: Vec<Audience>,
    policy: Policy,
    workshop: Workshop,
}

/// A verified assertion with everything that it says.
#[derive(Clone, PartialEq, Eq)]
pub struct Proven {
    /// Whose it is.
    pub identity: Identity,
    /// What the issuer says besides.
    pub idp_claims: Map<String, Value>,
    /// What the user says besides.
    pub user_claims: Map<String, Value>,
}

impl BrowserId {
    /// Accepts assertions made for one of `audiences`, by issuers whose keys are in `keys`, under
    /// `policy`.
    pub fn new(keys: Arc<dyn KeySource>, audiences: Vec<Audience>, policy: Policy) -> Self {
        Self { keys, audiences, policy, workshop: Workshop::new() }
    }

    /// Verifies `slot` as of `now`, and keeps the claims that [`Identity`] has no place for.
    ///
    /// # Errors
    /// As [`Verifier::verify`].
    pub async fn prove(
        &self,
        slot: &str,
        now: UnixMillis,
        client: Option<IpAddr>,
    ) -> Result<Proven, IdentityError> {
        let parts = Parts::read(slot, &self.policy)?;
        let domain = self.check_offline(&parts, now)?;
        let issuer = &parts.certificate.issuer;
        let search = Search { source: &*self.keys, policy: &self.policy, domain, client };
        let keys = search.issuer_keys(issuer).await?;
        let digest = parts.digest();
        let Parts { certified, certificate, asserted, assertion } = parts;
        self.check_certified(certified, keys).await?;
        self.check_asserted(asserted, &certificate.public_key).await?;
        let email = self.email(&certificate)?;
        let identity = Identity {
            issuer: certificate.issuer,
            subject: certificate.principal,
            email,
            expires_at: certificate.window.expires_at.min(assertion.window.expires_at),
            digest,
            generation: certificate.generation,
        };
        Ok(Proven { identity, idp_claims: certificate.claims, user_claims: assertion.claims })
    }

    /// Audience, times, names, and whether the issuer is allowed at all. Returns the domain of the
    /// principal.
    fn check_offline<'a>(&self, parts: &'a Parts, now: UnixMillis) -> Result<&'a str, Reason> {
        let Parts { certificate, assertion, .. } = parts;
        let audience =
            Audience::parse(&assertion.audience).map_err(|_| Reason::AudienceMismatch)?;
        if !self.audiences.contains(&audience) {
            return Err(Reason::AudienceMismatch);
        }
        assertion.window.check(now, self.policy.skew)?;
        certificate.window.check(now, self.policy.skew)?;
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

    /// The issuer's signature.
    async fn check_certified(
        &self,
        certified: Signed,
        keys: Arc<[PublicKey]>,
    ) -> Result<(), IdentityError> {
        let allowed = self.policy.issuer_algs.clone();
        let heavy = Algorithm::is_dsa_name(&certified.alg);
        let work = move || check_signature(&certified, &keys, &allowed);
        Ok(if heavy { self.workshop.run(work).await? } else { work() }?)
    }

    /// The user's signature, with the certified key. Behind the issuer's, since the key may be
    /// heavy work already.
    async fn check_asserted(&self, asserted: Signed, key: &Value) -> Result<(), IdentityError> {
        let (allowed, key) = (self.policy.user_algs.clone(), key.clone());
        let heavy = key::claims_dsa(&key);
        let work = move || {
            let key = PublicKey::parse(&key).map_err(|_| Reason::BadKey)?;
            check_signature(&asserted, &[key], &allowed)
        };
        Ok(if heavy { self.workshop.run(work).await? } else { work() }?)
    }

    /// The principal, or the address behind it where the policy believes this issuer about such
    /// addresses.
    fn email(&self, certificate: &Certificate) -> Result<String, Reason> {
        let believed = self.policy.fxa_verified_email && self.policy.trusts(&certificate.issuer);
        match &certificate.verified_email {
            Some(email) if believed => {
                email_host(email, self.policy.hosts()).ok_or(Reason::InvalidEmail)?;
                Ok(email.clone())
            }
            Some(_) | None => Ok(certificate.principal.clone()),
        }
    }
}

#[async_trait]
impl Verifier for BrowserId {
    async fn verify(&self, slot: &str, now: UnixMillis) -> Result<Identity, IdentityError> {
        self.verify_for(slot, now, None).await
    }

    async fn verify_for(
        &self,
        slot: &str,
        now: UnixMillis,
        client: Option<IpAddr>,
    ) -> Result<Identity, IdentityError> {
        self.prove(slot, now, client).await.map(|proven| proven.identity)
    }
}

/// Both halves, read but not proven.
struct Parts {
    certified: Signed,
    certificate: Certificate,
    asserted: Signed,
    assertion: Assertion,
}

impl Parts {
    fn read(slot: &str, policy: &Policy) -> Result<Self, Reason> {
        if slot.len() > policy.max_len {
            return Err(Reason::TooLarge);
        }
        let plain =
            slot.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte));
        if slot.is_empty() || !plain {
            return Err(Reason::Malformed);
        }
        let (certificate, assertion) = slot.split_once('~').ok_or(Reason::NoCertificate)?;
        if assertion.contains('~') {
            return Err(Reason::ChainTooLong);
        }
        let certificate = Jws::parse(certificate, policy.max_json_depth)?;
        let assertion = Jws::parse(assertion, policy.max_json_depth)?;
        Ok(Self {
            certified: certificate.signed,
            certificate: Certificate::read(certificate.payload)?,
            asserted: assertion.signed,
            assertion: Assertion::read(assertion.payload)?,
        })
    }

    /// SHA-256 of both signed texts: what two spellings of one assertion have in common.
    fn digest(&self) -> [u8; 32] {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(self.certified.input.as_bytes());
        hash.update(b"~");
        hash.update(self.asserted.input.as_bytes());
        let mut result = [0; 32];
        result.iter_mut().zip(hash.finish().as_ref()).for_each(|(to, from)| *to = *from);
        result
    }
}

/// Tries the keys that the header's `alg` fits, if that algorithm is allowed.
fn check_signature(
    signed: &Signed,
    keys: &[PublicKey],
    allowed: &[Algorithm],
) -> Result<(), Reason> {
    let fitting = || keys.iter().filter(|key| key.algorithm().name() == signed.alg);
    let algorithm = fitting().next().ok_or(Reason::AlgMismatch)?.algorithm();
    if algorithm == Algorithm::Rs64 || !allowed.contains(&algorithm) {
        return Err(Reason::WeakKey);
    }
    let genuine = fitting().any(|key| key.verify(signed.input.as_bytes(), &signed.signature));
    if genuine { Ok(()) } else { Err(Reason::BadSignature) }
}
