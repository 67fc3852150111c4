//! Chooses the verifier of a proof by its kind.
//!
//! There is one verifier per kind, chosen by the form of the proof alone (see threat 7 in
//! SECURITY.md): a proof that its verifier rejects is never passed to another one.

use presence_core::UnixMillis;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;

use crate::domain_table::DomainTable;
use crate::identity::{Identity, IdentityError, Reason, Verifier};

/// The verifier for all kinds of proofs. A kind without a verifier is rejected.
#[derive(Clone, Default)]
pub struct Dispatcher {
    browserid: Option<Arc<dyn Verifier>>,
    oidc: Option<Arc<dyn Verifier>>,
    domains: DomainTable,
}

impl Dispatcher {
    /// Creates a dispatcher without verifiers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Uses `verifier` for backed-identity assertions, which contain a `~`.
    #[must_use]
    pub fn with_browserid(self, verifier: Arc<dyn Verifier>) -> Self {
        Self { browserid: Some(verifier), ..self }
    }

    /// Uses `verifier` for single tokens, which have three segments and no `~`.
    #[must_use]
    pub fn with_oidc(self, verifier: Arc<dyn Verifier>) -> Self {
        Self { oidc: Some(verifier), ..self }
    }

    /// Uses this table of the domains that belong to a single issuer.
    #[must_use]
    pub fn with_domains(self, domains: DomainTable) -> Self {
        Self { domains, ..self }
    }

    /// Returns a verified identity, unless its e-mail domain belongs to another issuer.
    fn check_domain(&self, proof: &str, identity: Identity) -> Result<Identity, IdentityError> {
        let is_allowed = match ProofKind::of(proof) {
            Some(ProofKind::BrowserId) => {
                self.domains.allows_browserid(&identity.issuer, &identity.email)
            }
            Some(ProofKind::Oidc) | None => self.domains.allows_oidc(&identity.email),
        };
        if is_allowed { Ok(identity) } else { Err(Reason::EmailDomainNotAllowed.into()) }
    }

    fn choose(&self, proof: &str) -> Result<&dyn Verifier, Reason> {
        let (verifier, reason) = match ProofKind::of(proof) {
            Some(ProofKind::BrowserId) => (&self.browserid, Reason::UntrustedIssuer),
            Some(ProofKind::Oidc) => (&self.oidc, Reason::NoCertificate),
            None => (&None, Reason::Malformed),
        };
        verifier.as_deref().ok_or(reason)
    }
}

#[async_trait]
impl Verifier for Dispatcher {
    async fn verify(&self, proof: &str, now: UnixMillis) -> Result<Identity, IdentityError> {
        let identity = self.choose(proof)?.verify(proof, now).await?;
        self.check_domain(proof, identity)
    }

    async fn verify_for(
        &self,
        proof: &str,
        now: UnixMillis,
        client: Option<IpAddr>,
    ) -> Result<Identity, IdentityError> {
        let identity = self.choose(proof)?.verify_for(proof, now, client).await?;
        self.check_domain(proof, identity)
    }
}

/// The kind of a proof.
#[derive(Debug, PartialEq, Eq)]
enum ProofKind {
    BrowserId,
    Oidc,
}

impl ProofKind {
    /// Returns the kind of `proof`. A token consists of base64url and dots, so it contains no `~`.
    fn of(proof: &str) -> Option<Self> {
        if proof.contains('~') {
            return Some(Self::BrowserId);
        }
        (proof.split('.').count() == 3).then_some(Self::Oidc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Holds rule 3 and threat 7.
    #[tokio::test]
    async fn each_kind_of_proof_goes_to_its_own_verifier() {
        let dispatcher = Dispatcher::new()
            .with_browserid(Arc::new(StubVerifier("browserid")))
            .with_oidc(Arc::new(StubVerifier("oidc")));
        assert_eq!(
            dispatcher.verify("a.b.c~d.e.f", UnixMillis::new(1)).await.unwrap().issuer,
            "browserid"
        );
        assert_eq!(dispatcher.verify("a.b.c", UnixMillis::new(1)).await.unwrap().issuer, "oidc");
        assert_eq!(
            dispatcher.verify("a.b", UnixMillis::new(1)).await,
            Err(Reason::Malformed.into())
        );
        assert_eq!(dispatcher.verify("", UnixMillis::new(1)).await, Err(Reason::Malformed.into()));
    }

    /// Holds threat 7.
    #[tokio::test]
    async fn a_kind_without_a_verifier_is_rejected_and_not_passed_to_another() {
        let dispatcher = Dispatcher::new().with_browserid(Arc::new(StubVerifier("browserid")));
        assert_eq!(
            dispatcher.verify("a.b.c", UnixMillis::new(1)).await,
            Err(Reason::NoCertificate.into())
        );
        let dispatcher = Dispatcher::new().with_oidc(Arc::new(StubVerifier("oidc")));
        assert_eq!(
            dispatcher.verify("a~b", UnixMillis::new(1)).await,
            Err(Reason::UntrustedIssuer.into())
        );
    }

    struct StubVerifier(&'static str);

    #[async_trait]
    impl Verifier for StubVerifier {
        async fn verify(&self, _proof: &str, now: UnixMillis) -> Result<Identity, IdentityError> {
            Ok(Identity {
                issuer: self.0.to_owned(),
                subject: String::new(),
                email: String::new(),
                expires_at: now,
                accepted_until: now,
                digest: [0; 32],
                generation: None,
            })
        }
    }
}
