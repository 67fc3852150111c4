//! Who is there: assertions, bearer tokens, sessions.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;
use presence_core::{Clock, CredentialGeneration, Email, Scope, Session, UnixMillis, UserId};
use presence_identity::Identity;
use presence_protocol::device::Proof;
use presence_protocol::{ApiError, DeviceName, Errno};
use presence_store::GenerationOutcome;
use secrecy::{ExposeSecret, SecretString};

use crate::clock::Stopwatch;
use crate::mailbox::Mailbox;
use crate::refusal::{of_identity, of_store};
use crate::secret::{self, Kind};
use crate::service::PresenceService;

/// What an assertion was used for. It can be used again for the same only.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Purpose {
    /// To open sockets of one device.
    Device(DeviceName),
    /// To open one session.
    Session,
}

/// An assertion that was used.
#[derive(Debug, Clone)]
pub(crate) struct Claimed {
    purpose: Purpose,
    expires_at: UnixMillis,
}

/// Forgets an assertion when nobody would accept it any more.
pub(crate) struct UntilExpiry(pub(crate) Arc<dyn Clock>);

/// How long after its expiry an assertion is accepted from a clock that is behind, and so remembered.
const SKEW: Duration = Duration::from_mins(2);

impl Expiry<[u8; 32], Claimed> for UntilExpiry {
    fn expire_after_create(&self, _: &[u8; 32], claimed: &Claimed, _: Instant) -> Option<Duration> {
        Some(claimed.expires_at + SKEW - self.0.now())
    }
}

/// Somebody who proved who they are.
#[derive(Debug, Clone)]
pub struct VerifiedProof {
    /// The user.
    pub user: UserId,
    /// The verified e-mail.
    pub email: Email,
    /// When this proof stops to hold a connection open.
    pub expires_at: UnixMillis,
    /// What the proof is known by.
    pub digest: [u8; 32],
    /// The generation of the proof, where its issuer counts them.
    pub(crate) generation: Option<CredentialGeneration>,
}

/// Whom an assertion is of.
struct Proven {
    user: UserId,
    email: Email,
    expires_at: UnixMillis,
    generation: Option<CredentialGeneration>,
}

/// A user who makes a call.
#[derive(Debug, Clone)]
pub struct AuthenticatedUser {
    /// The user.
    pub user: UserId,
    /// The verified e-mail.
    pub email: Email,
    /// What the session may do.
    pub scope: Scope,
    /// When the session ends.
    pub expires_at: UnixMillis,
    /// What the session's token is known by.
    pub digest: [u8; 32],
}

/// A new session; the token is shown once.
pub struct NewSession {
    /// The bearer token.
    pub token: SecretString,
    /// Whose it is.
    pub caller: AuthenticatedUser,
}

/// What a proof is known by on its connection, without verifying it.
pub fn digest(proof: &Proof) -> [u8; 32] {
    match proof {
        Proof::Assertion(text) | Proof::Token(text) => secret::sha256(text),
    }
}

/// Whether a credential is meant to be a bearer token of a session, valid or not.
pub fn looks_like_token(text: &str) -> bool {
    secret::is_meant_as(Kind::Token, text)
}

/// The token that a write by cookie must carry: bound to the session, so that no other site can know it.
pub fn csrf_token(session_token: &str) -> String {
    secret::bound_to(session_token, "csrf")
}

/// Whether a write by cookie carries the token of its session.
pub fn is_csrf_token(session_token: &str, given: &str) -> bool {
    secret::same(csrf_token(session_token).as_bytes(), given.as_bytes())
}

impl PresenceService {
    /// Checks what a device says of itself. `client` is where it comes from: a client can have only so many issuers asked.
    ///
    /// # Errors
    ///
    /// `invalid_assertion`, `email_mismatch`, `session_expired`, `identity_unavailable`, `slow_down`, `storage_unavailable`.
    pub async fn identify(
        &self,
        proof: &Proof,
        claimed_email: Option<&str>,
        device: &DeviceName,
        client: Option<IpAddr>,
    ) -> Result<VerifiedProof, ApiError> {
        let identified = self.identify_uncounted(proof, claimed_email, device, client).await;
        self.meters.signed_in(identified)
    }

    async fn identify_uncounted(
        &self,
        proof: &Proof,
        claimed_email: Option<&str>,
        device: &DeviceName,
        client: Option<IpAddr>,
    ) -> Result<VerifiedProof, ApiError> {
        let identified = match proof {
            Proof::Assertion(slot) => {
                let purpose = Purpose::Device(device.clone());
                let proven = self.verify(slot, claimed_email, purpose, client).await?;
                let Proven { user, email, expires_at, generation } = proven;
                let session_ends = self.now() + self.settings.session;
                let expires_at = if self.settings.session_ends_with_assertion {
                    expires_at
                } else {
                    session_ends
                };
                VerifiedProof { user, email, expires_at, digest: digest(proof), generation }
            }
            Proof::Token(token) => self.bearer(token).await?,
        };
        check_email(claimed_email, &identified.email)?;
        Ok(identified)
    }

    /// Opens a session.
    ///
    /// # Errors
    ///
    /// As [`PresenceService::identify`].
    pub async fn open_session(
        &self,
        assertion: &str,
        claimed_email: Option<&str>,
        scope: Scope,
        client: Option<IpAddr>,
    ) -> Result<NewSession, ApiError> {
        let opened = self.open_session_uncounted(assertion, claimed_email, scope, client).await;
        self.meters.signed_in(opened)
    }

    async fn open_session_uncounted(
        &self,
        assertion: &str,
        claimed_email: Option<&str>,
        scope: Scope,
        client: Option<IpAddr>,
    ) -> Result<NewSession, ApiError> {
        let proven = self.verify(assertion, claimed_email, Purpose::Session, client).await?;
        self.session_of(proven, scope).await
    }

    /// Opens a session for somebody whose proof was verified elsewhere, which is good for this once.
    ///
    /// # Errors
    ///
    /// `invalid_assertion` where the proof was used before, `storage_unavailable`.
    pub async fn open_session_for(
        &self,
        proven: Identity,
        scope: Scope,
    ) -> Result<NewSession, ApiError> {
        let opening = async {
            let proven = self.accept(proven, None, Purpose::Session).await?;
            self.session_of(proven, scope).await
        };
        self.meters.signed_in(opening.await)
    }

    async fn session_of(&self, proven: Proven, scope: Scope) -> Result<NewSession, ApiError> {
        let Proven { user, email, generation, .. } = proven;
        self.raise(user, generation.as_ref(), None).await?;
        let token = secret::mint(Kind::Token);
        let digest = secret::sha256(token.expose_secret());
        let created_at = self.now();
        let expires_at = created_at + self.settings.session;
        let session = Session { digest, user, scope, created_at, expires_at, generation };
        self.store.insert_session(&session).await.map_err(of_store)?;
        if let Err(ko) = self.is_current(user, session.generation.as_ref()).await {
            self.store.delete_session(&digest).await.map_err(of_store)?;
            return Err(ko);
        }
        Ok(NewSession {
            token,
            caller: AuthenticatedUser { user, email, scope, expires_at, digest },
        })
    }

    /// Whose session a token is of.
    ///
    /// # Errors
    ///
    /// `not_authenticated` for what is no token, `session_expired`, `storage_unavailable`.
    pub async fn caller(&self, token: &str) -> Result<AuthenticatedUser, ApiError> {
        if !secret::is_well_formed(Kind::Token, token) {
            return Err(Errno::NotAuthenticated.into());
        }
        self.holder(secret::sha256(token)).await
    }

    /// Whose session it is that is known by this.
    ///
    /// # Errors
    ///
    /// `session_expired`, `storage_unavailable`.
    pub(crate) async fn holder(&self, digest: [u8; 32]) -> Result<AuthenticatedUser, ApiError> {
        let session = self.store.session(&digest, self.now()).await.map_err(of_store)?;
        let Session { user, scope, expires_at, .. } = session.ok_or(Errno::SessionExpired)?;
        let email = self.store.email_of(user).await.map_err(of_store)?;
        let email = email.ok_or(Errno::SessionExpired)?;
        Ok(AuthenticatedUser { user, email, scope, expires_at, digest })
    }

    /// Ends a session and the sockets that were opened with it.
    ///
    /// # Errors
    ///
    /// `storage_unavailable`.
    pub async fn close_session(&self, caller: &AuthenticatedUser) -> Result<(), ApiError> {
        self.store.delete_session(&caller.digest).await.map_err(of_store)?;
        self.hub.end_session(caller.user, &caller.digest);
        Ok(())
    }

    /// Whose token a device shows.
    async fn bearer(&self, token: &str) -> Result<VerifiedProof, ApiError> {
        if !secret::is_well_formed(Kind::Token, token) {
            return Err(Errno::InvalidAssertion.into());
        }
        // By a ticket, the socket is one of the session that the ticket was made for.
        let session = self.tickets.redeem(token, self.now());
        let digest = session.unwrap_or_else(|| secret::sha256(token));
        self.bearer_of(digest).await
    }

    /// Whose session it is that is known by this, for a device that connects: many may come at once.
    pub(crate) async fn bearer_of(&self, digest: [u8; 32]) -> Result<VerifiedProof, ApiError> {
        let found = self.store.session_with_email(digest, self.now()).await.map_err(of_store)?;
        let (session, email) = found.ok_or(Errno::SessionExpired)?;
        let Session { user, expires_at, .. } = session;
        Ok(VerifiedProof { user, email, expires_at, digest, generation: None })
    }

    /// Takes note of the generation of a proof. A smaller one than was seen before is refused, and a greater one ends everything
    /// that smaller ones hold open, but for the connection that is just being renewed.
    pub(crate) async fn raise(
        &self,
        user: UserId,
        generation: Option<&CredentialGeneration>,
        renewed: Option<&Mailbox>,
    ) -> Result<(), ApiError> {
        let Some(generation) = generation else { return Ok(()) };
        match self.store.record_generation(user, generation).await.map_err(of_store)? {
            GenerationOutcome::Outdated => return Err(Errno::InvalidAssertion.into()),
            GenerationOutcome::Unchanged => {}
            GenerationOutcome::Raised(sessions) => {
                sessions.iter().for_each(|digest| self.hub.end_session(user, digest));
                self.hub.end_older(user, generation, renewed);
            }
        }
        Ok(())
    }

    /// Looks again at the generation of a proof, once what it opened can be found and ended by a greater one.
    pub(crate) async fn is_current(
        &self,
        user: UserId,
        generation: Option<&CredentialGeneration>,
    ) -> Result<(), ApiError> {
        let Some(CredentialGeneration { issuer, number }) = generation else { return Ok(()) };
        let greatest = self.store.greatest_generation(user, issuer).await.map_err(of_store)?;
        if greatest > Some(*number) {
            return Err(Errno::InvalidAssertion.into());
        }
        Ok(())
    }

    async fn verify(
        &self,
        slot: &str,
        claimed_email: Option<&str>,
        purpose: Purpose,
        client: Option<IpAddr>,
    ) -> Result<Proven, ApiError> {
        let now = self.now();
        let started = Stopwatch::start();
        let verifying = self.verifier.verify_for(slot, now, client);
        let identity = verifying.await.map_err(of_identity)?;
        self.meters.sign_in_seconds.record(started.elapsed().as_secs_f64());
        self.accept(identity, claimed_email, purpose).await
    }

    /// The user of a proof that is good for this purpose.
    async fn accept(
        &self,
        identity: Identity,
        claimed_email: Option<&str>,
        purpose: Purpose,
    ) -> Result<Proven, ApiError> {
        let email = Email::parse(&identity.email).ok_or(Errno::InvalidAssertion)?;
        check_email(claimed_email, &email)?;
        let claimed = Claimed { purpose, expires_at: identity.expires_at };
        self.claim(identity.digest, claimed)?;
        let user = self.store.find_or_create_user(&email, self.now()).await.map_err(of_store)?;
        let issuer = identity.issuer.into_boxed_str();
        let generation = identity.generation.map(|number| CredentialGeneration { issuer, number });
        Ok(Proven { user, email, expires_at: identity.expires_at, generation })
    }

    /// Remembers what an assertion is used for, so that one that was overheard opens nothing else.
    fn claim(&self, digest: [u8; 32], claimed: Claimed) -> Result<(), ApiError> {
        let wanted = claimed.purpose.clone();
        let entry = self.claimed.entry(digest).or_insert(claimed);
        let again = !entry.is_fresh();
        if again && (entry.value().purpose != wanted || wanted == Purpose::Session) {
            return Err(Errno::InvalidAssertion.into());
        }
        Ok(())
    }
}

fn check_email(claimed: Option<&str>, proven: &Email) -> Result<(), ApiError> {
    match claimed {
        Some(claimed) if Email::parse(claimed).as_ref() != Some(proven) => {
            Err(Errno::EmailMismatch.into())
        }
        Some(_) | None => Ok(()),
    }
}
