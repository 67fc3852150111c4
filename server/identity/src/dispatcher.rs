//! Looks at a slot and asks the verifier of its kind.
//!
//! One verifier per kind, chosen by shape alone (threat 22): a slot that one kind refuses is never
//! offered to another.

use presence_core::UnixMillis;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;

use crate::identity::{Identity, IdentityError, Reason, Verifier};

/// The verifier for all kinds of slots. A kind that was not given is refused.
#[derive(Clone, Default)]
pub struct Dispatcher {
    browserid: Option<Arc<dyn Verifier>>,
    oidc: Option<Arc<dyn Verifier>>,
}

impl Dispatcher {
    /// Knows no kind yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends backed-identity assertions (with a `~`) to `verifier`.
    #[must_use]
    pub fn with_browserid(self, verifier: Arc<dyn Verifier>) -> Self {
        Self { browserid: Some(verifier), ..self }
    }

    /// Sends single tokens (three segments, no `~`) to `verifier`.
    #[must_use]
    pub fn with_oidc(self, verifier: Arc<dyn Verifier>) -> Self {
        Self { oidc: Some(verifier), ..self }
    }

    fn choose(&self, slot: &str) -> Result<&dyn Verifier, Reason> {
        let (verifier, otherwise) = match Kind::of(slot) {
            Some(Kind::BrowserId) => (&self.browserid, Reason::UntrustedIssuer),
            Some(Kind::Oidc) => (&self.oidc, Reason::NoCertificate),
            None => (&None, Reason::Malformed),
        };
        verifier.as_deref().ok_or(otherwise)
    }
}

#[async_trait]
impl Verifier for Dispatcher {
    async fn verify(&self, slot: &str, now: UnixMillis) -> Result<Identity, IdentityError> {
        self.choose(slot)?.verify(slot, now).await
    }

    async fn verify_for(
        &self,
        slot: &str,
        now: UnixMillis,
        client: Option<IpAddr>,
    ) -> Result<Identity, IdentityError> {
        self.choose(slot)?.verify_for(slot, now, client).await
    }
}

/// What a slot looks like.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    BrowserId,
    Oidc,
}

impl Kind {
    /// Base64url and dots never contain `~`, so it tells the kinds apart.
    fn of(slot: &str) -> Option<Self> {
        if slot.contains('~') {
            return Some(Self::BrowserId);
        }
        (slot.split('.').count() == 3).then_some(Self::Oidc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_kind_goes_to_its_own_verifier() {
        let dispatcher = Dispatcher::new()
            .with_browserid(Arc::new(Says("browserid")))
            .with_oidc(Arc::new(Says("oidc")));
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

    #[tokio::test]
    async fn a_kind_without_a_verifier_is_refused_and_not_offered_to_another() {
        let dispatcher = Dispatcher::new().with_browserid(Arc::new(Says("browserid")));
        assert_eq!(
            dispatcher.verify("a.b.c", UnixMillis::new(1)).await,
            Err(Reason::NoCertificate.into())
        );
        let dispatcher = Dispatcher::new().with_oidc(Arc::new(Says("oidc")));
        assert_eq!(
            dispatcher.verify("a~b", UnixMillis::new(1)).await,
            Err(Reason::UntrustedIssuer.into())
        );
    }

    struct Says(&'static str);

    #[async_trait]
    impl Verifier for Says {
        async fn verify(&self, _slot: &str, now: UnixMillis) -> Result<Identity, IdentityError> {
            Ok(Identity {
                issuer: self.0.to_owned(),
                subject: String::new(),
                email: String::new(),
                expires_at: now,
                digest: [0; 32],
                generation: None,
            })
        }
    }
}
