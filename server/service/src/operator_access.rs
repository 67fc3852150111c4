//! The operator's credential and sessions.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use presence_core::{Clock, Steady, UserId};
use presence_protocol::ApiError;
use presence_store::{Live, NewOneTimeValue, OneTimeKind, OneTimeOutcome, Store};
use secrecy::{ExposeSecret, SecretString};

use crate::errors::from_store;
use crate::rates::{KeyedRateLimiter, rate_limited_address, slow_down};
use crate::secret::{self, SecretKind};
use crate::settings::Rate;

/// The rate of sign-ins of one address.
const SIGN_IN_RATE: Rate = Rate { burst: 5, per_second: 1 };
/// The maximum number of open sessions.
const MAX_SESSIONS: usize = 1_000;

/// The SHA-256 of an operator's token. It does not reveal the token, which has 256 random bits.
#[derive(Clone, PartialEq, Eq)]
pub struct OperatorTokenDigest([u8; 32]);

impl OperatorTokenDigest {
    /// Returns the digest of a token.
    pub fn of(token: &SecretString) -> Self {
        Self(secret::sha256(token.expose_secret()))
    }

    /// Parses 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut digest = [0; 32];
        hex::decode_to_slice(text, &mut digest).ok()?;
        Some(Self(digest))
    }

    /// Returns the digest as 64 hexadecimal digits.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

/// Generates a token for an operator.
pub fn generate_operator_token() -> SecretString {
    secret::generate(SecretKind::OperatorToken)
}

/// The sign-in of operators.
pub struct OperatorAccess {
    token: OperatorTokenDigest,
    session_lifetime: Duration,
    sessions: OpenSessions,
    clock: Arc<dyn Clock>,
    sign_ins: KeyedRateLimiter<IpAddr>,
}

/// The open sessions, by the digests of their tokens.
enum OpenSessions {
    /// Those of a server that is alone, with their ends. A restart ends them.
    Own(Cache<[u8; 32], Steady>),
    /// Those of all servers that have this operator's token. Another token ends them.
    Shared(Live),
}

impl OperatorAccess {
    /// Creates the access for the token with this digest.
    pub(crate) fn new(
        token: OperatorTokenDigest,
        session_lifetime: Duration,
        (store, clock): (&Store, Arc<dyn Clock>),
    ) -> Self {
        let sessions = if let Some(live) = store.live() {
            OpenSessions::Shared(live.clone())
        } else {
            // The cache only frees memory: the injected clock decides whether a session is over.
            let cache = Cache::builder().max_capacity(MAX_SESSIONS as u64);
            OpenSessions::Own(cache.time_to_live(session_lifetime).build())
        };
        let sign_ins = KeyedRateLimiter::new(SIGN_IN_RATE, Arc::clone(&clock));
        Self { token, session_lifetime, sessions, clock, sign_ins }
    }

    /// Returns the lifetime of a session.
    pub fn session_lifetime(&self) -> Duration {
        self.session_lifetime
    }

    /// Opens a session and returns its token, or `None` if the operator's token is wrong.
    ///
    /// # Errors
    ///
    /// `slow_down` if the client has tried too often, or too many sessions are open.
    /// `storage_unavailable`.
    pub async fn sign_in(
        &self,
        client: IpAddr,
        token: &str,
    ) -> Result<Option<SecretString>, ApiError> {
        self.sign_ins.prune();
        self.sign_ins.check(&rate_limited_address(client))?;
        if !self.is_operator_token(token) {
            tracing::warn!("operator.refused");
            return Ok(None);
        }
        self.open().await.map(Some)
    }

    /// Opens a session, and returns its token.
    async fn open(&self) -> Result<SecretString, ApiError> {
        let session = secret::generate(SecretKind::OperatorSession);
        self.record(secret::sha256(session.expose_secret())).await?;
        tracing::info!("operator.signed_in");
        Ok(session)
    }

    /// Records the session with this digest.
    async fn record(&self, digest: [u8; 32]) -> Result<(), ApiError> {
        let live = match &self.sessions {
            OpenSessions::Own(own) => {
                own.insert(digest, self.clock.steady() + self.session_lifetime);
                return Ok(());
            }
            OpenSessions::Shared(live) => live,
        };
        let now = self.clock.now();
        let value = NewOneTimeValue {
            kind: OneTimeKind::OperatorSession,
            digest,
            owner: UserId(0),
            content: &self.token.0,
            expires_at: now + self.session_lifetime,
        };
        match live.add_one_time(value, MAX_SESSIONS, now).await.map_err(from_store)? {
            OneTimeOutcome::New | OneTimeOutcome::Known(_) => Ok(()),
            OneTimeOutcome::Full(until) => Err(slow_down(until - now)),
        }
    }

    /// Returns true if a credential is the operator's token. A wrong token is logged, at the rate
    /// of the address.
    pub fn accepts(&self, client: IpAddr, token: &str) -> bool {
        if self.is_operator_token(token) {
            return true;
        }
        self.sign_ins.prune();
        let is_guess = secret::has_prefix(SecretKind::OperatorToken, token);
        if is_guess && self.sign_ins.check(&rate_limited_address(client)).is_ok() {
            tracing::warn!("operator.refused");
        }
        false
    }

    /// Returns true if a token is that of an open session.
    ///
    /// # Errors
    ///
    /// `storage_unavailable`.
    pub async fn is_open(&self, session: &str) -> Result<bool, ApiError> {
        let digest = secret::sha256(session);
        match &self.sessions {
            OpenSessions::Own(own) => {
                Ok(own.get(&digest).is_some_and(|ends_at| self.clock.steady() < ends_at))
            }
            OpenSessions::Shared(live) => {
                let kind = OneTimeKind::OperatorSession;
                let found = live.one_time(kind, &digest, self.clock.now()).await;
                Ok(found.map_err(from_store)?.is_some_and(|token| token == self.token.0))
            }
        }
    }

    /// Ends a session.
    ///
    /// # Errors
    ///
    /// `storage_unavailable`.
    pub async fn sign_out(&self, session: &str) -> Result<(), ApiError> {
        let digest = secret::sha256(session);
        match &self.sessions {
            OpenSessions::Own(own) => own.invalidate(&digest),
            OpenSessions::Shared(live) => {
                let kind = OneTimeKind::OperatorSession;
                let taken = live.take_one_time(kind, &digest, self.clock.now()).await;
                taken.map_err(from_store)?;
            }
        }
        tracing::info!("operator.signed_out");
        Ok(())
    }

    fn is_operator_token(&self, token: &str) -> bool {
        let is_equal = secret::equal_in_constant_time(&secret::sha256(token), &self.token.0);
        is_equal && secret::is_well_formed(SecretKind::OperatorToken, token)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use presence_core::ManualClock;
    use presence_protocol::Errno;

    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const HOUR: Duration = Duration::from_hours(1);

    async fn access(token: &SecretString) -> (OperatorAccess, Arc<ManualClock>) {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/t.db?mode=rwc", directory.path().display());
        let clock = Arc::new(ManualClock::default());
        let store = Store::open(&url, clock.now()).await.unwrap();
        let shared = Arc::<ManualClock>::clone(&clock);
        (OperatorAccess::new(OperatorTokenDigest::of(token), HOUR, (&store, shared)), clock)
    }

    #[tokio::test]
    async fn only_the_token_opens_a_session_and_signing_out_ends_it() {
        let token = generate_operator_token();
        let digest = OperatorTokenDigest::of(&token).to_hex();
        let (access, _) = access(&token).await;
        let other = generate_operator_token();
        for wrong in ["", "prs_live_x", other.expose_secret(), &digest] {
            assert!(access.sign_in(CLIENT, wrong).await.unwrap().is_none(), "{wrong}");
        }
        let session = access.sign_in(CLIENT, token.expose_secret()).await.unwrap().unwrap();
        assert!(access.is_open(session.expose_secret()).await.unwrap());
        assert!(
            !access.is_open(token.expose_secret()).await.unwrap(),
            "the token itself is no session"
        );
        access.sign_out(session.expose_secret()).await.unwrap();
        assert!(!access.is_open(session.expose_secret()).await.unwrap());
    }

    #[tokio::test]
    async fn a_session_ends_by_the_injected_clock() {
        let token = generate_operator_token();
        let (access, clock) = access(&token).await;
        let session = access.sign_in(CLIENT, token.expose_secret()).await.unwrap().unwrap();
        clock.advance(Duration::from_millis(3_599_999));
        assert!(access.is_open(session.expose_secret()).await.unwrap());
        clock.advance(Duration::from_millis(1));
        assert!(!access.is_open(session.expose_secret()).await.unwrap());
    }

    #[tokio::test]
    async fn a_password_that_is_no_generated_token_opens_no_session() {
        let password = SecretString::from("correct horse battery staple");
        let (access, _) = access(&password).await;
        assert!(access.sign_in(CLIENT, password.expose_secret()).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn an_address_that_tries_too_often_has_to_wait_and_other_addresses_do_not() {
        let token = generate_operator_token();
        let (access, _) = access(&token).await;
        let mut refused = None;
        for _ in 0..20 {
            refused = refused.or(access.sign_in(CLIENT, "x").await.err());
        }
        assert_eq!(refused.unwrap().errno, Errno::SlowDown);
        let other = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));
        assert!(access.sign_in(other, token.expose_secret()).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn the_token_is_accepted_after_any_number_of_wrong_ones() {
        let token = generate_operator_token();
        let (access, _) = access(&token).await;
        let other = generate_operator_token();
        for wrong in [other.expose_secret(), "", "pro_x"] {
            assert!((0..20).all(|_| !access.accepts(CLIENT, wrong)), "{wrong}");
        }
        assert!(access.accepts(CLIENT, token.expose_secret()));
    }

    #[test]
    fn only_64_hexadecimal_digits_are_a_digest() {
        let digest = "0f".repeat(32);
        assert_eq!(OperatorTokenDigest::parse(&digest).unwrap().to_hex(), digest);
        for wrong in ["", "00", "***", &"g".repeat(64), &"0".repeat(63)] {
            assert!(OperatorTokenDigest::parse(wrong).is_none(), "{wrong}");
        }
    }
}
