//! The operator's credential and sessions.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use presence_core::{Clock, Steady};
use presence_protocol::ApiError;
use secrecy::{ExposeSecret, SecretString};

use crate::rates::{KeyedRateLimiter, rate_limited_address};
use crate::secret::{self, SecretKind};
use crate::settings::Rate;

/// The rate of sign-ins of one address.
const SIGN_IN_RATE: Rate = Rate { burst: 5, per_second: 1 };
/// The maximum number of open sessions.
const MAX_SESSIONS: u64 = 1_000;

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

/// The sign-in of operators. Sessions are in memory only, so that a restart ends them.
pub struct OperatorAccess {
    token: OperatorTokenDigest,
    session_lifetime: Duration,
    /// The end of each session, by the digest of its token.
    sessions: Cache<[u8; 32], Steady>,
    clock: Arc<dyn Clock>,
    sign_ins: KeyedRateLimiter<IpAddr>,
}

impl OperatorAccess {
    /// Creates the access for the token with this digest.
    pub fn new(
        token: OperatorTokenDigest,
        session_lifetime: Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        // The cache only frees memory: the injected clock decides whether a session is over.
        let cache = Cache::builder().max_capacity(MAX_SESSIONS).time_to_live(session_lifetime);
        let sign_ins = KeyedRateLimiter::new(SIGN_IN_RATE, Arc::clone(&clock));
        Self { token, session_lifetime, sessions: cache.build(), clock, sign_ins }
    }

    /// Returns the lifetime of a session.
    pub fn session_lifetime(&self) -> Duration {
        self.session_lifetime
    }

    /// Opens a session and returns its token, or `None` if the operator's token is wrong.
    ///
    /// # Errors
    ///
    /// `slow_down` if the client has tried too often.
    pub fn sign_in(&self, client: IpAddr, token: &str) -> Result<Option<SecretString>, ApiError> {
        self.sign_ins.prune();
        self.sign_ins.check(&rate_limited_address(client))?;
        if !self.is_operator_token(token) {
            tracing::warn!("operator.refused");
            return Ok(None);
        }
        let session = secret::generate(SecretKind::OperatorSession);
        let ends_at = self.clock.steady() + self.session_lifetime;
        self.sessions.insert(secret::sha256(session.expose_secret()), ends_at);
        tracing::info!("operator.signed_in");
        Ok(Some(session))
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
    pub fn is_open(&self, session: &str) -> bool {
        let ends_at = self.sessions.get(&secret::sha256(session));
        ends_at.is_some_and(|ends_at| self.clock.steady() < ends_at)
    }

    /// Ends a session.
    pub fn sign_out(&self, session: &str) {
        self.sessions.invalidate(&secret::sha256(session));
        tracing::info!("operator.signed_out");
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

    fn access(token: &SecretString) -> (OperatorAccess, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::default());
        let shared = Arc::<ManualClock>::clone(&clock);
        (OperatorAccess::new(OperatorTokenDigest::of(token), HOUR, shared), clock)
    }

    #[test]
    fn only_the_token_opens_a_session_and_signing_out_ends_it() {
        let token = generate_operator_token();
        let digest = OperatorTokenDigest::of(&token).to_hex();
        let (access, _) = access(&token);
        let other = generate_operator_token();
        for wrong in ["", "prs_live_x", other.expose_secret(), &digest] {
            assert!(access.sign_in(CLIENT, wrong).unwrap().is_none(), "{wrong}");
        }
        let session = access.sign_in(CLIENT, token.expose_secret()).unwrap().unwrap();
        assert!(access.is_open(session.expose_secret()));
        assert!(!access.is_open(token.expose_secret()), "the token itself is no session");
        access.sign_out(session.expose_secret());
        assert!(!access.is_open(session.expose_secret()));
    }

    #[test]
    fn a_session_ends_by_the_injected_clock() {
        let token = generate_operator_token();
        let (access, clock) = access(&token);
        let session = access.sign_in(CLIENT, token.expose_secret()).unwrap().unwrap();
        clock.advance(Duration::from_millis(3_599_999));
        assert!(access.is_open(session.expose_secret()));
        clock.advance(Duration::from_millis(1));
        assert!(!access.is_open(session.expose_secret()));
    }

    #[test]
    fn a_password_that_is_no_generated_token_opens_no_session() {
        let password = SecretString::from("correct horse battery staple");
        let (access, _) = access(&password);
        assert!(access.sign_in(CLIENT, password.expose_secret()).unwrap().is_none());
    }

    #[test]
    fn an_address_that_tries_too_often_has_to_wait_and_other_addresses_do_not() {
        let token = generate_operator_token();
        let (access, _) = access(&token);
        let refused = (0..20).find_map(|_| access.sign_in(CLIENT, "x").err());
        assert_eq!(refused.unwrap().errno, Errno::SlowDown);
        let other = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));
        assert!(access.sign_in(other, token.expose_secret()).unwrap().is_some());
    }

    #[test]
    fn the_token_is_accepted_after_any_number_of_wrong_ones() {
        let token = generate_operator_token();
        let (access, _) = access(&token);
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
