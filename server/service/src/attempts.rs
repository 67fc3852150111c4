//! Counts the credentials that were refused, by the address of the client, and slows down a client
//! that has too many.
//!
//! Other clients behind the same address notice little of it: open sockets stay open, and a valid
//! token or key is still accepted, since it is cheap to look up. Only an assertion, which is
//! expensive to verify, is not verified before the wait is over.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use presence_core::{Clock, Steady};
use presence_protocol::{ApiError, Errno};
use presence_store::as_one_call;

use crate::rates::{KeyedRateLimiter, rate_limited_address};
use crate::settings::ServiceSettings;

/// The maximum number of addresses that are remembered as throttled.
const MAX_THROTTLED: u64 = 100_000;
/// The time after which a throttled address is forgotten: longer than any wait at a rate of at
/// least one a second.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);

/// The kind of credential that is checked, which decides what a throttled client may still try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CredentialKind {
    /// An assertion that opens a session.
    SignIn,
    /// An assertion of a device connection.
    Assertion,
    /// A token or an API key.
    Secret,
    /// A cookie. Any site can make a browser send it, so a refusal is not counted.
    Cookie,
}

/// The check of one credential, whose refusal is counted.
///
/// Only [`AttemptCounter::count`] makes one. A function that checks a credential takes it as an
/// argument, so that it cannot be called without counting.
pub(crate) struct Attempt {
    client: IpAddr,
}

impl Attempt {
    /// Returns the address of the client.
    pub(crate) fn client(&self) -> IpAddr {
        self.client
    }
}

/// The counter of refused credentials.
pub(crate) struct AttemptCounter {
    throttled: ThrottledClients,
    sign_ins: KeyedRateLimiter<IpAddr>,
    failures: KeyedRateLimiter<IpAddr>,
}

impl AttemptCounter {
    /// Creates a counter with the rates of the settings.
    pub(crate) fn new(settings: &ServiceSettings, clock: &Arc<dyn Clock>) -> Self {
        Self {
            throttled: ThrottledClients::new(Arc::clone(clock)),
            sign_ins: KeyedRateLimiter::new(settings.sign_in_rate, Arc::clone(clock)),
            failures: KeyedRateLimiter::new(settings.failure_rate, Arc::clone(clock)),
        }
    }

    /// Checks a credential of a client, and counts it if it is refused.
    ///
    /// # Errors
    ///
    /// The error of the check. `slow_down` instead if the client had too many refusals: this does
    /// not tell whether the credential is valid.
    pub(crate) async fn count<T, F>(
        &self,
        client: IpAddr,
        kind: CredentialKind,
        check: impl FnOnce(Attempt) -> F,
    ) -> Result<T, ApiError>
    where
        F: Future<Output = Result<T, ApiError>>,
    {
        let address = rate_limited_address(client);
        match kind {
            CredentialKind::SignIn => {
                self.throttled.check(address)?;
                self.sign_ins.check(&address)?;
            }
            CredentialKind::Assertion => self.throttled.check(address)?,
            CredentialKind::Secret | CredentialKind::Cookie => {}
        }
        let error = match as_one_call(check(Attempt { client })).await {
            Ok(accepted) => return Ok(accepted),
            Err(error) if kind == CredentialKind::Cookie || !rejects_credential(error.errno) => {
                return Err(error);
            }
            Err(error) => error,
        };
        let Err(slow_down) = self.failures.check(&address) else { return Err(error) };
        tracing::debug!(address = %client, "credentials.barred");
        self.throttled.insert(address, &slow_down);
        Err(slow_down)
    }

    /// Forgets the addresses that may make their full number of attempts again.
    pub(crate) fn prune(&self) {
        self.sign_ins.prune();
        self.failures.prune();
    }
}

/// The addresses that had too many refusals, with the end of their wait.
struct ThrottledClients {
    until: Cache<IpAddr, Steady>,
    clock: Arc<dyn Clock>,
}

impl ThrottledClients {
    fn new(clock: Arc<dyn Clock>) -> Self {
        // The cache only frees memory: the injected clock decides whether an address still waits.
        let until = Cache::builder().max_capacity(MAX_THROTTLED).time_to_live(FORGOTTEN_AFTER);
        Self { until: until.build(), clock }
    }

    fn check(&self, address: IpAddr) -> Result<(), ApiError> {
        let left = self
            .until
            .get(&address)
            .map(|until| until - self.clock.steady())
            .filter(|left| !left.is_zero());
        left.map_or(Ok(()), |left| Err(ApiError::slow_down(left.as_secs_f64())))
    }

    fn insert(&self, address: IpAddr, slow_down: &ApiError) {
        let wait = Duration::from_secs_f64(slow_down.retry_after.unwrap_or_default().max(0.0));
        self.until.insert(address, self.clock.steady() + wait);
    }
}

/// Returns true if an error means that the credential is not valid, rather than that the server
/// could not check it.
const fn rejects_credential(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::NotAuthenticated
            | Errno::SessionExpired
            | Errno::InvalidAssertion
            | Errno::EmailMismatch
            | Errno::InvalidApiKey
    )
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::net::Ipv4Addr;

    use presence_core::ManualClock;

    use super::*;
    use crate::settings::Rate;
    use crate::testing;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn counter() -> (AttemptCounter, Arc<ManualClock>) {
        let manual = Arc::new(ManualClock::default());
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&manual);
        let settings = ServiceSettings {
            sign_in_rate: Rate { burst: 100, per_second: 100 },
            failure_rate: Rate { burst: 2, per_second: 1 },
            ..testing::settings()
        };
        (AttemptCounter::new(&settings, &clock), manual)
    }

    /// Makes an attempt that ends with this result, and returns the errno.
    async fn try_once(
        counter: &AttemptCounter,
        kind: CredentialKind,
        result: Result<(), Errno>,
    ) -> Result<(), Errno> {
        let checked = counter.count(CLIENT, kind, |_| ready(result.map_err(ApiError::from))).await;
        checked.map_err(|error| error.errno)
    }

    #[test]
    fn a_throttled_address_may_try_again_once_the_injected_clock_has_passed_the_wait() {
        let clock = Arc::new(ManualClock::default());
        let throttled = ThrottledClients::new(Arc::<ManualClock>::clone(&clock));
        throttled.insert(CLIENT, &ApiError::slow_down(2.0));
        clock.advance(Duration::from_millis(1_500));
        assert_eq!(throttled.check(CLIENT).unwrap_err().retry_after, Some(0.5));
        clock.advance(Duration::from_millis(500));
        assert!(throttled.check(CLIENT).is_ok());
    }

    #[tokio::test]
    async fn after_too_many_refusals_only_a_valid_secret_is_accepted() {
        let (counter, clock) = counter();
        let refused = Err(Errno::InvalidApiKey);
        for _ in 0..2 {
            assert_eq!(try_once(&counter, CredentialKind::Secret, refused).await, refused);
        }
        let slow_down = Err(Errno::SlowDown);
        assert_eq!(try_once(&counter, CredentialKind::Secret, refused).await, slow_down);
        assert_eq!(try_once(&counter, CredentialKind::Secret, Ok(())).await, Ok(()));
        for kind in [CredentialKind::SignIn, CredentialKind::Assertion] {
            assert_eq!(try_once(&counter, kind, Ok(())).await, slow_down, "{kind:?}");
        }
        clock.advance(Duration::from_secs(1));
        assert_eq!(try_once(&counter, CredentialKind::SignIn, Ok(())).await, Ok(()));
    }

    #[tokio::test]
    async fn a_refused_cookie_is_not_counted() {
        let (counter, _) = counter();
        let expired = Err(Errno::SessionExpired);
        for _ in 0..10 {
            assert_eq!(try_once(&counter, CredentialKind::Cookie, expired).await, expired);
        }
        assert_eq!(try_once(&counter, CredentialKind::SignIn, Ok(())).await, Ok(()));
    }

    #[tokio::test]
    async fn an_error_of_the_server_is_not_counted() {
        let (counter, _) = counter();
        let unavailable = Err(Errno::StorageUnavailable);
        for _ in 0..10 {
            let tried = try_once(&counter, CredentialKind::Assertion, unavailable).await;
            assert_eq!(tried, unavailable);
        }
    }
}
