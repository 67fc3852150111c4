//! The operator: a credential of its own, and what may be done with Applications that misbehave. Knows nobody's e-mail.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use presence_core::model::{App, ApplicationState};
use presence_core::{Clock, Steady, UnixMillis};
use presence_protocol::{ApiError, AppId, Errno};
use secrecy::{ExposeSecret, SecretString};

use crate::rates::{Buckets, one_peer};
use crate::refusal::of_store;
use crate::secret::{self, Kind};
use crate::service::PresenceService;
use crate::settings::Rate;

/// Tries of one address to sign in at once, then a second.
const TRIES: Rate = Rate { burst: 5, per_second: 1 };
/// The most sessions at a time.
const SESSIONS: u64 = 1_000;
/// The most Applications that are found at once.
pub const MAX_MATCHES: u64 = 50;

/// What an operator's token is known by: its SHA-256, which says enough for a text of 256 random bits, and tells nobody the token.
#[derive(Clone, PartialEq, Eq)]
pub struct OperatorTokenDigest([u8; 32]);

impl OperatorTokenDigest {
    /// The digest of a token.
    pub fn of(token: &SecretString) -> Self {
        Self(secret::sha256(token.expose_secret()))
    }

    /// Reads the 64 hexadecimal digits of the settings.
    pub fn parse(text: &str) -> Option<Self> {
        let mut digest = [0; 32];
        hex::decode_to_slice(text, &mut digest).ok()?;
        Some(Self(digest))
    }

    /// The 64 hexadecimal digits of the settings.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

/// A new token for an operator.
pub fn generate_operator_token() -> SecretString {
    secret::mint(Kind::OperatorToken)
}

/// Who may enter as an operator. Sessions are in memory only: a restart ends them.
pub struct OperatorAccess {
    token: OperatorTokenDigest,
    session: Duration,
    /// The sessions with their ends.
    sessions: Cache<[u8; 32], Steady>,
    clock: Arc<dyn Clock>,
    tries: Buckets<IpAddr>,
}

impl OperatorAccess {
    /// Lets in whoever has the token of this digest, each time for that long.
    pub fn new(token: OperatorTokenDigest, session: Duration, clock: Arc<dyn Clock>) -> Self {
        // Only frees memory: whether a session is over is decided by the injected clock.
        let sessions = Cache::builder().max_capacity(SESSIONS).time_to_live(session).build();
        Self { token, session, sessions, tries: Buckets::new(TRIES, Arc::clone(&clock)), clock }
    }

    /// How long a session lasts.
    pub fn session(&self) -> Duration {
        self.session
    }

    /// Opens a session, and gives its token; none where the operator's token is not the right one.
    ///
    /// # Errors
    ///
    /// `slow_down` where there were too many tries of this address.
    pub fn sign_in(&self, from: IpAddr, token: &str) -> Result<Option<SecretString>, ApiError> {
        self.tries.tidy();
        self.tries.take(&one_peer(from))?;
        let known = secret::same(&secret::sha256(token), &self.token.0);
        if !known || !secret::is_well_formed(Kind::OperatorToken, token) {
            tracing::warn!("operator.refused");
            return Ok(None);
        }
        let session = secret::mint(Kind::OperatorSession);
        let ends_at = self.clock.steady() + self.session;
        self.sessions.insert(secret::sha256(session.expose_secret()), ends_at);
        tracing::info!("operator.signed_in");
        Ok(Some(session))
    }

    /// Whether a token is that of an open session.
    pub fn knows(&self, session: &str) -> bool {
        let ends_at = self.sessions.get(&secret::sha256(session));
        ends_at.is_some_and(|ends_at| self.clock.steady() < ends_at)
    }

    /// Ends a session.
    pub fn sign_out(&self, session: &str) {
        self.sessions.invalidate(&secret::sha256(session));
        tracing::info!("operator.signed_out");
    }
}

/// An Application, as an operator sees it.
pub struct ApplicationMatch {
    /// The Application.
    pub app: App,
    /// How many of its sockets are open.
    pub sockets: usize,
}

impl PresenceService {
    /// The newest Applications of this id, or with this text in their name or domain; at most [`MAX_MATCHES`].
    ///
    /// # Errors
    ///
    /// `storage_unavailable`.
    pub async fn find_apps(&self, text: &str) -> Result<Vec<ApplicationMatch>, ApiError> {
        let apps = self.store.find_apps(text, MAX_MATCHES).await.map_err(of_store)?;
        let found = |app: App| {
            let sockets = self.hub.find_topic(app.id).map_or(0, |room| room.sockets());
            ApplicationMatch { app, sockets }
        };
        Ok(apps.into_iter().map(found).collect())
    }

    /// Blocks an Application: it is as if its developer had stopped it, until the operator ends that. Its sockets are closed.
    ///
    /// # Errors
    ///
    /// `unknown_application`, `storage_unavailable`.
    pub async fn block_app(&self, app: AppId) -> Result<(), ApiError> {
        self.set_blocked(app, Some(self.now())).await?;
        tracing::info!(%app, "operator.blocked");
        Ok(())
    }

    /// Ends the block: the Application is again what its developer made it.
    ///
    /// # Errors
    ///
    /// As [`PresenceService::block_app`].
    pub async fn unblock_app(&self, app: AppId) -> Result<(), ApiError> {
        self.set_blocked(app, None).await?;
        tracing::info!(%app, "operator.unblocked");
        Ok(())
    }

    async fn set_blocked(&self, app: AppId, since: Option<UnixMillis>) -> Result<(), ApiError> {
        let _switching = self.switching.lock().await;
        let before = self.store.app(app).await.map_err(of_store)?;
        let before = before.ok_or(Errno::UnknownApplication)?;
        if before.blocked_at.is_some() == since.is_some() {
            return Ok(());
        }
        self.store.set_app_blocked(app, since).await.map_err(of_store)?;
        let after = self.store.app(app).await.map_err(of_store)?;
        let active = after.is_some_and(|app| app.state == ApplicationState::Active);
        self.hub.set_active(app, active);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use presence_core::ManualClock;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn only_the_token_opens_a_session_and_signing_out_ends_it() {
        let token = generate_operator_token();
        let digest = OperatorTokenDigest::parse(&OperatorTokenDigest::of(&token).to_hex()).unwrap();
        let access = OperatorAccess::new(digest.clone(), HOUR, Arc::<ManualClock>::default());
        let other = generate_operator_token();
        for wrong in ["", "prs_live_x", other.expose_secret(), &digest.to_hex()] {
            assert!(access.sign_in(HERE, wrong).unwrap().is_none(), "{wrong}");
        }
        let session = access.sign_in(HERE, token.expose_secret()).unwrap().unwrap();
        assert!(access.knows(session.expose_secret()));
        assert!(!access.knows(token.expose_secret()), "the token itself is no session");
        access.sign_out(session.expose_secret());
        assert!(!access.knows(session.expose_secret()));
    }

    #[test]
    fn a_session_ends_by_the_injected_clock() {
        let (token, clock) = (generate_operator_token(), Arc::new(ManualClock::default()));
        let shared = Arc::<ManualClock>::clone(&clock);
        let access = OperatorAccess::new(OperatorTokenDigest::of(&token), HOUR, shared);
        let session = access.sign_in(HERE, token.expose_secret()).unwrap().unwrap();
        clock.advance(HOUR - Duration::from_millis(1));
        assert!(access.knows(session.expose_secret()));
        clock.advance(Duration::from_millis(1));
        assert!(!access.knows(session.expose_secret()));
    }

    #[test]
    fn a_password_of_somebodys_own_choice_lets_nobody_in() {
        let password = SecretString::from("correct horse battery staple");
        let access = OperatorAccess::new(
            OperatorTokenDigest::of(&password),
            HOUR,
            Arc::<ManualClock>::default(),
        );
        assert!(access.sign_in(HERE, password.expose_secret()).unwrap().is_none());
    }

    #[test]
    fn who_tries_too_often_has_to_wait_and_keeps_nobody_else_out() {
        let token = generate_operator_token();
        let access = OperatorAccess::new(
            OperatorTokenDigest::of(&token),
            HOUR,
            Arc::<ManualClock>::default(),
        );
        let tried = (0..20).find_map(|_| access.sign_in(HERE, "x").err());
        assert_eq!(tried.unwrap().errno, Errno::SlowDown);
        let elsewhere = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));
        assert!(access.sign_in(elsewhere, token.expose_secret()).unwrap().is_some());
    }

    #[test]
    fn only_64_digits_are_a_digest() {
        for wrong in ["", "00", "***", &"g".repeat(64), &"0".repeat(63)] {
            assert!(OperatorTokenDigest::parse(wrong).is_none(), "{wrong}");
        }
    }
}
