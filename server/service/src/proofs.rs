//! Checks the proofs of users: assertions, and tokens on device connections.
//!
//! What a proof opens must be found by whoever revokes that proof. So a proof is checked, what it
//! opens is registered, and the proof is checked again: a revocation before the registration is
//! seen by the second check, and a later one finds what was registered. [`CheckedProof`] is between
//! the two checks; only [`ProofVerifier::confirm`] makes a [`VerifiedProof`] of it.

use std::sync::Arc;

use presence_core::phase::AuthenticatedDevice;
use presence_core::{Clock, CredentialGeneration, Email, Session, UnixMillis, UserId};
use presence_identity::{Identity, Verifier};
use presence_protocol::device::Proof;
use presence_protocol::{ApiError, DeviceName, Errno};
use presence_store::{GenerationOutcome, Store};

use crate::attempts::{Attempt, AttemptCounter, CredentialKind};
use crate::clock::Stopwatch;
use crate::errors::{from_identity, from_store};
use crate::hub::Hub;
use crate::mailbox::Mailbox;
use crate::meters::SignInMeters;
use crate::secret::{self, SecretKind};
use crate::settings::ServiceSettings;
use crate::tickets::Tickets;
use crate::used_assertions::{Purpose, UsedAssertions};

/// A proof that is valid, before what it opens was checked again.
#[must_use = "what was registered for this proof must be confirmed"]
pub(crate) struct CheckedProof {
    user: UserId,
    email: Email,
    expires_at: UnixMillis,
    digest: [u8; 32],
    /// The generation of the credentials, if the issuer counts them.
    generation: Option<CredentialGeneration>,
    /// The kind of proof: true for a session, false for an assertion.
    is_session: bool,
}

impl CheckedProof {
    /// Returns the user.
    pub(crate) fn user(&self) -> UserId {
        self.user
    }

    /// Returns the verified e-mail.
    pub(crate) fn email(&self) -> &Email {
        &self.email
    }

    /// Returns the digest that identifies the proof.
    pub(crate) fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Returns the generation of the credentials, if the issuer counts them.
    pub(crate) fn generation(&self) -> Option<&CredentialGeneration> {
        self.generation.as_ref()
    }
}

/// A proof that was valid before and after what it opens was registered.
#[derive(Debug)]
pub struct VerifiedProof {
    email: Email,
    expires_at: UnixMillis,
    digest: [u8; 32],
}

impl VerifiedProof {
    /// Returns the time at which this proof stops holding a connection open.
    pub fn expires_at(&self) -> UnixMillis {
        self.expires_at
    }

    /// Returns the digest that identifies the proof on its connection.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Makes the authenticated state of a device connection.
    pub(crate) fn into_device(self, device: DeviceName, acks: bool) -> AuthenticatedDevice {
        AuthenticatedDevice::new(self.email, (device, acks), self.digest, self.expires_at)
    }
}

/// The credentials that a device presents.
pub(crate) struct DeviceCredentials<'a> {
    /// The proof.
    pub(crate) proof: &'a Proof,
    /// The e-mail that the client says the proof is for.
    pub(crate) email: Option<&'a str>,
    /// The device.
    pub(crate) device: &'a DeviceName,
}

impl DeviceCredentials<'_> {
    /// Returns the kind under which a refusal is counted.
    pub(crate) fn kind(&self) -> CredentialKind {
        match self.proof {
            Proof::Assertion(_) => CredentialKind::Assertion,
            Proof::Token(_) => CredentialKind::Secret,
        }
    }
}

/// The verifier of proofs, with the counter that each check goes through.
#[derive(Clone)]
pub(crate) struct CountedProofs {
    /// The counter of refused credentials.
    pub(crate) attempts: Arc<AttemptCounter>,
    /// The verifier.
    pub(crate) verifier: Arc<ProofVerifier>,
}

/// The verifier of proofs.
pub(crate) struct ProofVerifier {
    verifier: Arc<dyn Verifier>,
    store: Store,
    hub: Arc<Hub>,
    clock: Arc<dyn Clock>,
    settings: Arc<ServiceSettings>,
    used: UsedAssertions,
    tickets: Tickets,
    meters: SignInMeters,
}

impl ProofVerifier {
    /// Creates a verifier that has seen no assertion and issued no ticket.
    pub(crate) fn new(
        verifier: Arc<dyn Verifier>,
        store: Store,
        hub: Arc<Hub>,
        clock: Arc<dyn Clock>,
        settings: Arc<ServiceSettings>,
    ) -> Self {
        let used = UsedAssertions::new(Arc::clone(&clock));
        let (tickets, meters) = (Tickets::default(), SignInMeters::default());
        Self { verifier, store, hub, clock, settings, used, tickets, meters }
    }

    /// Returns the meters of sign-ins.
    pub(crate) fn meters(&self) -> &SignInMeters {
        &self.meters
    }

    /// Returns the tickets.
    pub(crate) fn tickets(&self) -> &Tickets {
        &self.tickets
    }

    /// Checks the credentials of a device. `renewed` is the mailbox of the connection that they
    /// renew.
    ///
    /// # Errors
    ///
    /// `invalid_assertion`, `email_mismatch`, `session_expired`, `identity_unavailable`,
    /// `slow_down`, `storage_unavailable`.
    pub(crate) async fn check_device(
        &self,
        attempt: &Attempt,
        credentials: &DeviceCredentials<'_>,
        renewed: Option<&Mailbox>,
    ) -> Result<CheckedProof, ApiError> {
        let checked = self.check_credentials(attempt, credentials).await;
        let checked = self.meters.count(checked)?;
        self.bump_generation(&checked, renewed).await?;
        Ok(checked)
    }

    /// Checks an assertion that is to open a session.
    ///
    /// # Errors
    ///
    /// As [`ProofVerifier::check_device`].
    pub(crate) async fn check_sign_in(
        &self,
        attempt: &Attempt,
        assertion: &str,
        email: Option<&str>,
    ) -> Result<CheckedProof, ApiError> {
        let identity = self.verify(attempt, assertion).await?;
        let checked = self.accept(identity, email, Purpose::Session).await?;
        self.bump_generation(&checked, None).await?;
        Ok(checked)
    }

    /// Checks an identity that another protocol has verified, and that is to open a session. It can
    /// do so once.
    ///
    /// # Errors
    ///
    /// `invalid_assertion` if it was used before, `storage_unavailable`.
    pub(crate) async fn check_identity(
        &self,
        _attempt: &Attempt,
        identity: Identity,
    ) -> Result<CheckedProof, ApiError> {
        let checked = self.accept(identity, None, Purpose::Session).await?;
        self.bump_generation(&checked, None).await?;
        Ok(checked)
    }

    /// Checks a proof again, once what it opens is registered and can be found by whoever revokes
    /// it.
    ///
    /// # Errors
    ///
    /// `session_expired`, `invalid_assertion`, `storage_unavailable`.
    pub(crate) async fn confirm(&self, checked: CheckedProof) -> Result<VerifiedProof, ApiError> {
        let CheckedProof { user, email, expires_at, digest, generation, is_session } = checked;
        if is_session {
            self.find_session(digest).await?;
        }
        if let Some(CredentialGeneration { issuer, number }) = &generation {
            let greatest = self.store.greatest_generation(user, issuer);
            if greatest.await.map_err(from_store)? > Some(*number) {
                return Err(Errno::InvalidAssertion.into());
            }
        }
        Ok(VerifiedProof { email, expires_at, digest })
    }

    async fn check_credentials(
        &self,
        attempt: &Attempt,
        credentials: &DeviceCredentials<'_>,
    ) -> Result<CheckedProof, ApiError> {
        let DeviceCredentials { proof, email, device } = credentials;
        match proof {
            Proof::Assertion(assertion) => {
                let identity = self.verify(attempt, assertion).await?;
                let purpose = Purpose::Device((*device).clone());
                let checked = self.accept(identity, *email, purpose).await?;
                let expires_at = if self.settings.session_ends_with_assertion {
                    checked.expires_at
                } else {
                    self.clock.now() + self.settings.session
                };
                Ok(CheckedProof { expires_at, digest: proof_digest(proof), ..checked })
            }
            Proof::Token(token) => {
                let checked = self.check_token(attempt, token).await?;
                check_email(*email, &checked.email)?;
                Ok(checked)
            }
        }
    }

    async fn check_token(&self, _attempt: &Attempt, token: &str) -> Result<CheckedProof, ApiError> {
        if !secret::is_well_formed(SecretKind::Token, token) {
            return Err(Errno::InvalidAssertion.into());
        }
        // A ticket stands for the session that it was issued for.
        let session = self.tickets.redeem(token, self.clock.now());
        let digest = session.unwrap_or_else(|| secret::sha256(token));
        let (session, email) = self.find_session(digest).await?;
        let Session { user, expires_at, .. } = session;
        Ok(CheckedProof { user, email, expires_at, digest, generation: None, is_session: true })
    }

    /// Finds the session of a device that connects, in one statement, since many may connect at
    /// once.
    async fn find_session(&self, digest: [u8; 32]) -> Result<(Session, Email), ApiError> {
        let found = self.store.session_with_email(digest, self.clock.now()).await;
        found.map_err(from_store)?.ok_or(Errno::SessionExpired.into())
    }

    async fn verify(&self, attempt: &Attempt, assertion: &str) -> Result<Identity, ApiError> {
        let (now, client) = (self.clock.now(), attempt.client());
        let started = Stopwatch::start();
        let verified = self.verifier.verify_for(assertion, now, Some(client)).await;
        let identity = verified.map_err(from_identity)?;
        self.meters.record_verification(started.elapsed());
        Ok(identity)
    }

    /// Accepts a verified identity for a purpose, and finds its user.
    async fn accept(
        &self,
        identity: Identity,
        claimed_email: Option<&str>,
        purpose: Purpose,
    ) -> Result<CheckedProof, ApiError> {
        let Identity { issuer, email, expires_at, digest, generation, .. } = identity;
        let email = Email::parse(&email).ok_or(Errno::InvalidAssertion)?;
        check_email(claimed_email, &email)?;
        self.used.claim(digest, &purpose, expires_at)?;
        let user = self.store.find_or_create_user(&email, self.clock.now()).await;
        let user = user.map_err(from_store)?;
        let issuer = issuer.into_boxed_str();
        let generation = generation.map(|number| CredentialGeneration { issuer, number });
        Ok(CheckedProof { user, email, expires_at, digest, generation, is_session: false })
    }

    /// Records the generation of a proof. A smaller one than the greatest so far is refused. A
    /// greater one ends all sessions and connections that smaller ones hold open, except the
    /// connection that is being renewed.
    async fn bump_generation(
        &self,
        checked: &CheckedProof,
        renewed: Option<&Mailbox>,
    ) -> Result<(), ApiError> {
        let Some(generation) = &checked.generation else { return Ok(()) };
        let user = checked.user;
        match self.store.record_generation(user, generation).await.map_err(from_store)? {
            GenerationOutcome::Outdated => return Err(Errno::InvalidAssertion.into()),
            GenerationOutcome::Unchanged => {}
            GenerationOutcome::Raised(sessions) => {
                sessions.iter().for_each(|digest| self.hub.end_session(user, digest));
                self.hub.end_older(user, generation, renewed);
            }
        }
        Ok(())
    }
}

/// Returns the digest that identifies a proof on its connection, without verifying the proof.
pub fn proof_digest(proof: &Proof) -> [u8; 32] {
    match proof {
        Proof::Assertion(text) | Proof::Token(text) => secret::sha256(text),
    }
}

fn check_email(claimed: Option<&str>, verified: &Email) -> Result<(), ApiError> {
    match claimed {
        Some(claimed) if Email::parse(claimed).as_ref() != Some(verified) => {
            Err(Errno::EmailMismatch.into())
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::net::{IpAddr, Ipv4Addr};
    use std::path::Path;
    use std::time::Duration;

    use presence_core::{ManualClock, Scope};
    use presence_identity::Dispatcher;

    use super::*;
    use crate::hub::HubLimits;
    use crate::testing;

    const NOW: UnixMillis = UnixMillis::new(1_800_000_000_000);
    const HOUR: Duration = Duration::from_hours(1);
    const DEVICE: &str = "phone";

    /// A verifier on a database with one user.
    struct Fixture {
        store: Store,
        verifier: ProofVerifier,
        user: UserId,
    }

    impl Fixture {
        async fn open(directory: &Path) -> Self {
            let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(NOW));
            let url = format!("sqlite://{}/t.db?mode=rwc", directory.display());
            let store = Store::open(&url, NOW).await.unwrap();
            let settings = Arc::new(testing::settings());
            let limits = HubLimits::from(settings.as_ref());
            let hub = Hub::new(Arc::clone(&clock), limits, store.epoch(), clock.steady());
            let email = Email::parse("alice@mail.example").unwrap();
            let user = store.find_or_create_user(&email, NOW).await.unwrap();
            let (dispatcher, hub) = (Arc::new(Dispatcher::new()), Arc::new(hub));
            let verifier = ProofVerifier::new(dispatcher, store.clone(), hub, clock, settings);
            Self { store, verifier, user }
        }

        /// Inserts a session and returns its token.
        async fn insert_session(&self) -> String {
            use secrecy::ExposeSecret;
            let token = secret::generate(SecretKind::Token).expose_secret().to_owned();
            let session = Session {
                digest: secret::sha256(&token),
                user: self.user,
                scope: Scope::Device,
                created_at: NOW,
                expires_at: NOW + HOUR,
                generation: None,
            };
            self.store.insert_session(&session).await.unwrap();
            token
        }

        async fn check(&self, token: &str) -> Result<CheckedProof, ApiError> {
            let (proof, device) = (Proof::Token(token.to_owned()), DEVICE.parse().unwrap());
            let credentials = DeviceCredentials { proof: &proof, email: None, device: &device };
            self.verifier.check_device(&attempt().await, &credentials, None).await
        }
    }

    async fn attempt() -> Attempt {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
        let counter = AttemptCounter::new(&testing::settings(), &clock);
        let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let result =
            counter.count(client, CredentialKind::Secret, |attempt| ready(Ok(attempt))).await;
        result.map_err(|error| error.errno).unwrap()
    }

    #[tokio::test]
    async fn a_session_that_ends_after_the_check_is_not_confirmed() {
        let directory = tempfile::tempdir().unwrap();
        let fixture = Fixture::open(directory.path()).await;
        let token = fixture.insert_session().await;
        let checked = fixture.check(&token).await.unwrap();
        fixture.store.delete_session(&secret::sha256(&token)).await.unwrap();
        let error = fixture.verifier.confirm(checked).await.unwrap_err();
        assert_eq!(error.errno, Errno::SessionExpired);
    }

    #[tokio::test]
    async fn an_assertion_with_outdated_credentials_is_not_confirmed() {
        let directory = tempfile::tempdir().unwrap();
        let fixture = Fixture::open(directory.path()).await;
        let generation = |number| CredentialGeneration { issuer: "idp.example".into(), number };
        let checked = CheckedProof {
            user: fixture.user,
            email: Email::parse("alice@mail.example").unwrap(),
            expires_at: NOW + HOUR,
            digest: [1; 32],
            generation: Some(generation(1)),
            is_session: false,
        };
        fixture.verifier.bump_generation(&checked, None).await.unwrap();
        fixture.store.record_generation(fixture.user, &generation(2)).await.unwrap();
        let error = fixture.verifier.confirm(checked).await.unwrap_err();
        assert_eq!(error.errno, Errno::InvalidAssertion);
    }

    #[tokio::test]
    async fn a_ticket_is_checked_and_confirmed_as_its_session() {
        let directory = tempfile::tempdir().unwrap();
        let fixture = Fixture::open(directory.path()).await;
        let digest = secret::sha256(&fixture.insert_session().await);
        let ticket = fixture.verifier.tickets().issue(digest, NOW);
        let ticket = secrecy::ExposeSecret::expose_secret(&ticket);
        let checked = fixture.check(ticket).await.unwrap();
        assert_eq!(fixture.verifier.confirm(checked).await.unwrap().digest(), digest);
        assert!(fixture.check(ticket).await.is_err(), "a ticket is valid once");
    }
}
