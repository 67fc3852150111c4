//! Credentials that are refused, counted by the address they come from: whoever guesses, or has us verify what is worth nothing, is
//! made to wait.
//!
//! Who shares an address with such a one suffers as little as can be: an open socket goes on, and a good token or key is taken all
//! the same, since looking it up is cheap. Only an assertion, which costs more to verify, is not even looked at.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use presence_core::{Clock, Steady};
use presence_protocol::{ApiError, Errno};

use crate::rates::one_peer;
use crate::service::PresenceService;

/// The most addresses that are remembered as barred.
const REMEMBERED: u64 = 100_000;
/// Longer than anybody is ever barred by a rate of at least one a second.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// To open a session with an assertion.
    SignIn,
    /// To introduce a device with an assertion.
    Assertion,
    /// To be known by a token or an API key.
    Secret,
}

/// Addresses that had more refused than they may, and until when.
pub(crate) struct Barred {
    until: Cache<IpAddr, Steady>,
    clock: Arc<dyn Clock>,
}

impl Barred {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        // Only frees memory: whether an address is still barred is decided by the injected clock.
        let until = Cache::builder().max_capacity(REMEMBERED).time_to_live(FORGOTTEN_AFTER);
        Self { until: until.build(), clock }
    }

    fn check(&self, address: IpAddr) -> Result<(), ApiError> {
        let left = self
            .until
            .get(&one_peer(address))
            .map(|until| until - self.clock.steady())
            .filter(|left| !left.is_zero());
        left.map_or(Ok(()), |left| Err(ApiError::slow_down(left.as_secs_f64())))
    }

    fn bar(&self, address: IpAddr, slow_down: &ApiError) {
        let wait = Duration::from_secs_f64(slow_down.retry_after.unwrap_or_default().max(0.0));
        self.until.insert(one_peer(address), self.clock.steady() + wait);
    }
}

impl PresenceService {
    /// Tries a credential that came from an address. Where too many of that address were refused of late, the refusal is
    /// `slow_down`, which does not say whether the credential was any good.
    ///
    /// # Errors
    ///
    /// `slow_down`, and what the attempt itself is refused with.
    pub async fn attempt<T>(
        &self,
        from: IpAddr,
        what: Attempt,
        attempt: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        match what {
            Attempt::SignIn => {
                self.barred.check(from)?;
                self.rates.sign_in(from)?;
            }
            Attempt::Assertion => self.barred.check(from)?,
            Attempt::Secret => {}
        }
        let refused = match attempt.await {
            Ok(done) => return Ok(done),
            Err(ko) if !is_of_the_credential(ko.errno) => return Err(ko),
            Err(ko) => ko,
        };
        match self.rates.failure(from) {
            Ok(()) => Err(refused),
            Err(slow_down) => {
                tracing::debug!(address = %from, "credentials.barred");
                self.barred.bar(from, &slow_down);
                Err(slow_down)
            }
        }
    }
}

/// Whether a refusal says that the credential is not good, rather than that something is wrong here.
const fn is_of_the_credential(errno: Errno) -> bool {
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
    use std::net::Ipv4Addr;

    use presence_core::ManualClock;

    use super::*;

    #[test]
    fn a_barred_address_may_try_again_once_the_injected_clock_has_passed_the_wait() {
        let clock = Arc::new(ManualClock::default());
        let barred = Barred::new(Arc::<ManualClock>::clone(&clock));
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        barred.bar(address, &ApiError::slow_down(2.0));
        clock.advance(Duration::from_millis(1_500));
        assert_eq!(barred.check(address).unwrap_err().retry_after, Some(0.5));
        clock.advance(Duration::from_millis(500));
        assert!(barred.check(address).is_ok());
    }
}
