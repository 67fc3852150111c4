//! Checks the proofs of users: assertions, and tokens on device connections.
//!
//! A revocation of a proof must also end the sessions and connections that the proof opens. So a
//! proof is checked, the session or connection is registered, and the proof is checked again: the
//! second check sees a revocation before the registration, and a later one finds what was
//! registered. A session is not read again if this server, which is alone, has ended nothing of its
//! user meanwhile. [`CheckedProof`] is between the two checks; only [`ProofVerifier::confirm`]
//! makes a [`VerifiedProof`] of it.

use std::sync::Arc;

use presence_core::phase::AuthenticatedDevice;
use presence_core::{Clock, CredentialGeneration, Email, Session, UnixMillis, UserId};
use presence_identity::{Identity, Verifier};
use presence_protocol::device::Proof;
use presence_protocol::{ApiError, DeviceName, Errno};
use presence_store::{ForgetMark, GenerationOutcome, Store, StoreError, UsedThing};

use crate::attempts::{Attempt, AttemptCounter, CredentialKind};
use crate::clock::Stopwatch;
use crate::errors::{from_identity, from_store};
use crate::hub::Hub;
use crate::mailbox::{Admissions, Mailbox};
use crate::meters::SignInMeters;
use crate::secret::{self, SecretKind};
use crate::settings::ServiceSettings;
use crate::tickets::Tickets;
use crate::to_end::to_end;
use crate::used_assertions::{Purpose, UsedAssertions};
use crate::uses::UseLog;

/// A proof that was checked once, before the session or connection that it opens is registered.
#[must_use = "what was registered for this proof must be confirmed"]
pub(crate) struct CheckedProof {
    user: UserId,
    email: Email,
    expires_at: UnixMillis,
    digest: [u8; 32],
    /// The generation of the credentials, if the issuer counts them.
    generation: Option<CredentialGeneration>,
    /// Set if the proof is a session: the mark before it was read.
    session_mark: Option<ForgetMark>,
    /// The digest of the assertion's signed texts, unless the proof is a session.
    assertion: Option<[u8; 32]>,
    /// The device that the proof lets in, unless it opens a session.
    device: Option<DeviceName>,
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

    /// Returns the end of the proof.
    pub(crate) fn expires_at(&self) -> UnixMillis {
        self.expires_at
    }

    /// Returns the session by which the proof lets a device in, if it is one.
    pub(crate) fn admissions(&self) -> Admissions {
        Admissions(if self.session_mark.is_some() { vec![self.digest] } else { Vec::new() })
    }

    /// Returns the generation of the credentials, if the issuer counts them.
    pub(crate) fn generation(&self) -> Option<&CredentialGeneration> {
        self.generation.as_ref()
    }
}

/// A proof that was valid before and after its session or connection was registered.
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
    use_log: Arc<UseLog>,
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
        (store, use_log): (Store, Arc<UseLog>),
        hub: Arc<Hub>,
        clock: Arc<dyn Clock>,
        settings: Arc<ServiceSettings>,
    ) -> Self {
        let used = UsedAssertions::new(&store, settings.proofs_per_user, Arc::clone(&clock));
        let (tickets, meters) = (Tickets::new(&store, Arc::clone(&clock)), SignInMeters::default());
        Self { verifier, store, use_log, hub, clock, settings, used, tickets, meters }
    }

    /// Returns the meters of sign-ins.
    pub(crate) fn meters(&self) -> &SignInMeters {
        &self.meters
    }

    /// Returns the tickets.
    pub(crate) fn tickets(&self) -> &Tickets {
        &self.tickets
    }

    /// Returns the assertions that were used.
    pub(crate) fn used(&self) -> &UsedAssertions {
        &self.used
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
        renewed: Option<&Arc<Mailbox>>,
    ) -> Result<CheckedProof, ApiError> {
        let checked = self.check_credentials(attempt, credentials).await;
        let device = Some(credentials.device.clone());
        let checked = checked.map(|checked| CheckedProof { device, ..checked });
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

    /// Checks a proof again, after the session or connection that it opens was registered.
    ///
    /// # Errors
    ///
    /// `session_expired`, `invalid_assertion`, `storage_unavailable`.
    pub(crate) async fn confirm(&self, checked: CheckedProof) -> Result<VerifiedProof, ApiError> {
        let CheckedProof { user, email, expires_at, digest, generation, session_mark, .. } =
            checked;
        if session_mark.is_some_and(|mark| !self.store.has_ended_nothing_of(user, mark)) {
            let (session, _) = self.find_session(digest).await?;
            checked.device.map_or(Ok(()), |device| check_opens(&session, &device))?;
        }
        if let Some(assertion) = &checked.assertion {
            self.used.check_not_ended(assertion).await?;
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
                let checked = self.check_token(attempt, token, device).await?;
                check_email(*email, &checked.email)?;
                Ok(checked)
            }
        }
    }

    async fn check_token(
        &self,
        _attempt: &Attempt,
        token: &str,
        device: &DeviceName,
    ) -> Result<CheckedProof, ApiError> {
        if !secret::is_well_formed(SecretKind::Token, token) {
            return Err(Errno::InvalidAssertion.into());
        }
        // A ticket stands for the session that it was issued for.
        let session = self.tickets.redeem(token).await?;
        let digest = session.unwrap_or_else(|| secret::sha256(token));
        let session_mark = Some(self.store.forget_mark());
        let (session, email) = self.find_session(digest).await?;
        check_opens(&session, device)?;
        let Session { user, expires_at, .. } = session;
        self.use_log.note(UsedThing::Session(digest), self.clock.now());
        let (generation, assertion, device) = (None, None, None);
        Ok(CheckedProof {
            user,
            email,
            expires_at,
            digest,
            generation,
            session_mark,
            assertion,
            device,
        })
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
        self.meters.record_verification(&verified, started.elapsed());
        verified.map_err(from_identity)
    }

    /// Accepts a verified identity for a purpose, and finds its user.
    async fn accept(
        &self,
        identity: Identity,
        claimed_email: Option<&str>,
        purpose: Purpose,
    ) -> Result<CheckedProof, ApiError> {
        let Identity { issuer, email, expires_at, accepted_until, digest, generation, .. } =
            identity;
        let email = Email::parse(&email).ok_or(Errno::InvalidAssertion)?;
        check_email(claimed_email, &email)?;
        let user = self.store.find_or_create_user(&email, self.clock.now()).await;
        let user = user.map_err(from_store)?;
        self.used.claim(digest, (user, purpose), accepted_until).await?;
        let issuer = issuer.into_boxed_str();
        let generation = generation.map(|number| CredentialGeneration { issuer, number });
        let (session_mark, assertion, device) = (None, Some(digest), None);
        Ok(CheckedProof {
            user,
            email,
            expires_at,
            digest,
            generation,
            session_mark,
            assertion,
            device,
        })
    }

    /// Records the generation of a proof. A smaller one than the greatest so far is refused. A
    /// greater one ends all sessions and connections that smaller ones hold open, except the
    /// connection that is being renewed.
    async fn bump_generation(
        &self,
        checked: &CheckedProof,
        renewed: Option<&Arc<Mailbox>>,
    ) -> Result<(), ApiError> {
        let Some(generation) = checked.generation.clone() else { return Ok(()) };
        let (user, renewed) = (checked.user, renewed.cloned());
        let (store, hub) = (self.store.clone(), Arc::clone(&self.hub));
        to_end(async move {
            let recorded = record_generation(&store, (user, &generation), renewed.as_deref()).await;
            if recorded.is_err() {
                hub.look_again(user).await;
            }
            match recorded.map_err(from_store)? {
                GenerationOutcome::Outdated => return Err(Errno::InvalidAssertion.into()),
                GenerationOutcome::Unchanged => {}
                GenerationOutcome::Raised(sessions) => {
                    hub.end_sessions(user, &sessions).await;
                    hub.close_outdated_connections(user, &generation, renewed.as_deref()).await;
                }
            }
            Ok(())
        })
        .await
    }
}

/// Records a generation. The connection that is being renewed has it before the database has, where
/// this server may see it at once.
async fn record_generation(
    store: &Store,
    (user, generation): (UserId, &CredentialGeneration),
    renewed: Option<&Mailbox>,
) -> Result<GenerationOutcome, StoreError> {
    if let Some(mailbox) = renewed {
        mailbox.expect_generation(generation);
    }
    let recorded = store.record_generation(user, generation).await;
    let is_recorded =
        matches!(recorded, Ok(GenerationOutcome::Unchanged | GenerationOutcome::Raised(_)));
    if let Some(mailbox) = renewed {
        mailbox.end_expectation(is_recorded);
    }
    recorded
}

/// Returns the digest that identifies a proof on its connection, without verifying the proof.
pub fn proof_digest(proof: &Proof) -> [u8; 32] {
    match proof {
        Proof::Assertion(text) | Proof::Token(text) => secret::sha256(text),
    }
}

/// Checks that the user of a session has not ended a device since the session was opened.
fn check_opens(session: &Session, device: &DeviceName) -> Result<(), ApiError> {
    if session.ended_devices.contains(device) {
        return Err(Errno::SessionExpired.into());
    }
    Ok(())
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
mod tests;
