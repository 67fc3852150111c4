//! Sessions: opened with an assertion or a verified identity, used by a bearer token.

use std::net::IpAddr;
use std::sync::Arc;

use presence_core::{Clock, Email, EndedDevices, Scope, Session, UnixMillis, UserId};
use presence_identity::Identity;
use presence_protocol::{ApiError, DeviceName, Errno};
use presence_store::{FoundSession, SessionLimit, Store, UsedThing};
use secrecy::{ExposeSecret, SecretString};

use crate::attempts::{Attempt, CredentialKind};
use crate::errors::from_store;
use crate::hub::Hub;
use crate::proofs::{CheckedProof, CountedProofs};
use crate::secret::{self, SecretKind};
use crate::settings::ServiceSettings;
use crate::to_end::to_end;
use crate::uses::UseLog;

/// The number of hexadecimal digits of a session's id.
const SESSION_ID_CHARS: usize = 32;

/// The holder of a session.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AuthenticatedUser {
    /// The user.
    pub user: UserId,
    /// The verified e-mail.
    pub email: Email,
    /// The scope of the session.
    pub scope: Scope,
    /// The end of the session.
    pub expires_at: UnixMillis,
    /// The digest of the session's token.
    pub digest: [u8; 32],
}

/// A new session. Its token is shown once.
#[non_exhaustive]
pub struct NewSession {
    /// The bearer token.
    pub token: SecretString,
    /// The holder of the session.
    pub holder: AuthenticatedUser,
}

/// A session of a user, as the user sees it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OpenSession {
    /// The id: 32 hexadecimal digits, from which the token cannot be found.
    pub id: String,
    /// The rights.
    pub scope: Scope,
    /// The time of its start.
    pub created_at: UnixMillis,
    /// The time at which it ends.
    pub expires_at: UnixMillis,
    /// Set if it is the session of the caller.
    pub is_current: bool,
    /// The devices that it has let in, and that are connected or in their grace time.
    pub devices: Vec<DeviceName>,
}

/// Returns the id of a session with this digest.
fn session_id(digest: &[u8; 32]) -> String {
    let mut id = secret::derive(&hex::encode(digest), "session id");
    id.truncate(SESSION_ID_CHARS);
    id
}

/// Returns true if a credential has the prefix of a bearer token, valid or not.
pub fn looks_like_token(text: &str) -> bool {
    secret::has_prefix(SecretKind::Token, text)
}

/// Returns the token that a write by cookie must carry. It is derived from the session's token, so
/// that no other site can know it.
pub fn csrf_token(session_token: &str) -> String {
    secret::derive(session_token, "csrf")
}

/// Returns true if a write by cookie carries the CSRF token of its session.
pub fn is_csrf_token(session_token: &str, given: &str) -> bool {
    secret::equal_in_constant_time(csrf_token(session_token).as_bytes(), given.as_bytes())
}

/// The sessions of users.
pub struct Sessions {
    store: Store,
    uses: Arc<UseLog>,
    hub: Arc<Hub>,
    clock: Arc<dyn Clock>,
    proofs: CountedProofs,
    settings: Arc<ServiceSettings>,
}

impl Sessions {
    pub(crate) fn new(
        (store, uses): (Store, Arc<UseLog>),
        hub: Arc<Hub>,
        clock: Arc<dyn Clock>,
        proofs: CountedProofs,
        settings: Arc<ServiceSettings>,
    ) -> Self {
        Self { store, uses, hub, clock, proofs, settings }
    }

    /// Opens a session with an assertion. `email` is the e-mail that the client says the assertion
    /// is for.
    ///
    /// # Errors
    ///
    /// `invalid_assertion`, `email_mismatch`, `identity_unavailable`, `slow_down`,
    /// `storage_unavailable`.
    pub async fn open(
        &self,
        assertion: &str,
        email: Option<&str>,
        scope: Scope,
        client: IpAddr,
    ) -> Result<NewSession, ApiError> {
        let check = |attempt: Attempt| async move {
            let checked = self.proofs.verifier.check_sign_in(&attempt, assertion, email);
            let opened = async { self.register(checked.await?, scope).await };
            self.proofs.verifier.meters().count(opened.await)
        };
        self.proofs.attempts.count(client, CredentialKind::SignIn, check).await
    }

    /// Opens a session for an identity that another protocol verifies, such as the code flow of
    /// OpenID Connect. `verifying` is not started if the client has had too many sign-ins refused.
    ///
    /// # Errors
    ///
    /// The error of `verifying`, `invalid_assertion` if the identity was used before, `slow_down`,
    /// `storage_unavailable`.
    pub async fn open_verified(
        &self,
        client: IpAddr,
        scope: Scope,
        verifying: impl Future<Output = Result<Identity, ApiError>>,
    ) -> Result<NewSession, ApiError> {
        let check = |attempt: Attempt| async move {
            let identity = verifying.await?;
            let checked = self.proofs.verifier.check_identity(&attempt, identity);
            let opened = async { self.register(checked.await?, scope).await };
            self.proofs.verifier.meters().count(opened.await)
        };
        self.proofs.attempts.count(client, CredentialKind::SignIn, check).await
    }

    /// Finds the session of a bearer token.
    ///
    /// # Errors
    ///
    /// `not_authenticated` if the text is no token, `session_expired`, `slow_down`,
    /// `storage_unavailable`.
    pub async fn authenticate(
        &self,
        token: &str,
        client: IpAddr,
    ) -> Result<AuthenticatedUser, ApiError> {
        let check = |attempt: Attempt| async move { self.find(&attempt, token).await };
        self.proofs.attempts.count(client, CredentialKind::Secret, check).await
    }

    /// Finds the session of a token that came in a cookie. A refusal is not counted, since any site
    /// can make a browser send its cookie.
    ///
    /// # Errors
    ///
    /// As [`Sessions::authenticate`], without `slow_down`.
    pub async fn authenticate_cookie(
        &self,
        token: &str,
        client: IpAddr,
    ) -> Result<AuthenticatedUser, ApiError> {
        let check = |attempt: Attempt| async move { self.find(&attempt, token).await };
        self.proofs.attempts.count(client, CredentialKind::Cookie, check).await
    }

    /// Ends a session and the connections that were opened with it.
    ///
    /// # Errors
    ///
    /// `storage_unavailable`.
    pub async fn close(&self, holder: &AuthenticatedUser) -> Result<(), ApiError> {
        self.end_all(holder.user, vec![holder.digest]).await
    }

    /// Returns the sessions of a user, the newest first.
    ///
    /// # Errors
    ///
    /// `storage_unavailable`.
    pub async fn list(&self, holder: &AuthenticatedUser) -> Result<Vec<OpenSession>, ApiError> {
        let sessions = self.store.sessions_of(holder.user, self.clock.now()).await;
        let devices = self.hub.devices_with_sessions(holder.user).await.map_err(from_store)?;
        let open = |session: Session| OpenSession {
            id: session_id(&session.digest),
            scope: session.scope,
            created_at: session.created_at,
            expires_at: session.expires_at,
            is_current: session.digest == holder.digest,
            devices: devices
                .iter()
                .filter(|(_, digests)| digests.contains(&session.digest))
                .map(|(name, _)| name.clone())
                .collect(),
        };
        Ok(sessions.map_err(from_store)?.into_iter().map(open).collect())
    }

    /// Ends another session of a user, and the connections that were opened with it.
    ///
    /// # Errors
    ///
    /// `not_found` if there is none with this id, or if it is the caller's own; signing out ends
    /// that one. `storage_unavailable`.
    pub async fn end_other(&self, holder: &AuthenticatedUser, id: &str) -> Result<(), ApiError> {
        let mut others = self.others(holder).await?;
        others.retain(|digest| session_id(digest) == id);
        if others.is_empty() {
            return Err(Errno::NotFound.into());
        }
        self.end_all(holder.user, others).await
    }

    /// Ends all other sessions of a user, and the connections that were opened with them.
    ///
    /// # Errors
    ///
    /// `storage_unavailable`.
    pub async fn end_others(&self, holder: &AuthenticatedUser) -> Result<(), ApiError> {
        let others = self.others(holder).await?;
        self.end_all(holder.user, others).await
    }

    async fn others(&self, holder: &AuthenticatedUser) -> Result<Vec<[u8; 32]>, ApiError> {
        let sessions = self.store.sessions_of(holder.user, self.clock.now()).await;
        let digests = sessions.map_err(from_store)?.into_iter().map(|session| session.digest);
        Ok(digests.filter(|digest| *digest != holder.digest).collect())
    }

    async fn end_all(&self, user: UserId, digests: Vec<[u8; 32]>) -> Result<(), ApiError> {
        let (store, hub) = (self.store.clone(), Arc::clone(&self.hub));
        to_end(async move {
            store.delete_sessions(user, &digests).await.map_err(from_store)?;
            hub.end_sessions(user, &digests).await;
            Ok(())
        })
        .await
    }

    /// Issues a ticket with which a page of the user opens one device connection.
    ///
    /// # Errors
    ///
    /// `slow_down` if there are too many unused tickets, `storage_unavailable`.
    pub async fn issue_ticket(&self, holder: &AuthenticatedUser) -> Result<SecretString, ApiError> {
        self.proofs.verifier.tickets().issue(holder.user, holder.digest).await
    }

    async fn register(&self, checked: CheckedProof, scope: Scope) -> Result<NewSession, ApiError> {
        let (user, email) = (checked.user(), checked.email().clone());
        let token = secret::generate(SecretKind::Token);
        let digest = secret::sha256(token.expose_secret());
        let created_at = self.clock.now();
        let expires_at = created_at + self.settings.session;
        let generation = checked.generation().cloned();
        let ended_devices = EndedDevices::default();
        let session =
            Session { digest, user, scope, created_at, expires_at, generation, ended_devices };
        self.insert(session).await?;
        if let Err(error) = self.proofs.verifier.confirm(checked).await {
            self.store.delete_new_session(&digest).await.map_err(from_store)?;
            return Err(error);
        }
        let holder = AuthenticatedUser { user, email, scope, expires_at, digest };
        Ok(NewSession { token, holder })
    }

    /// Inserts a session. If its user has too many, those end that were unused for the longest
    /// time. One that holds a connection open is in use.
    async fn insert(&self, session: Session) -> Result<(), ApiError> {
        let (user, now) = (session.user, session.created_at);
        let open = self.hub.sessions_of_connections(user).await.map_err(from_store)?;
        let (store, hub) = (self.store.clone(), Arc::clone(&self.hub));
        let use_log = Arc::clone(&self.uses);
        let max = self.settings.sessions_per_user;
        to_end(async move {
            let last_use = |digest: &[u8; 32]| {
                let noted = || use_log.last_use(&UsedThing::Session(*digest));
                if open.contains(digest) { Some(now) } else { noted() }
            };
            let limit = SessionLimit { max, last_use: &last_use };
            let ended = store.insert_session(&session, limit).await.map_err(from_store)?;
            if ended.is_empty() {
                hub.note_user_change(user);
            } else {
                hub.end_sessions(user, &ended).await;
            }
            Ok(())
        })
        .await
    }

    async fn find(&self, _attempt: &Attempt, token: &str) -> Result<AuthenticatedUser, ApiError> {
        if !secret::is_well_formed(SecretKind::Token, token) {
            return Err(Errno::NotAuthenticated.into());
        }
        let digest = secret::sha256(token);
        let now = self.clock.now();
        let times = (now, self.clock.steady());
        let session = self.store.find_session(digest, times).await.map_err(from_store)?;
        let session = session.ok_or(Errno::SessionExpired)?;
        let FoundSession { user, email, scope, expires_at } = session;
        self.uses.note(UsedThing::Session(digest), now);
        Ok(AuthenticatedUser { user, email, scope, expires_at, digest })
    }
}
