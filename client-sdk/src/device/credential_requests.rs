//! The request of a device channel for a credential, and the wait before a failed one is repeated.

use std::time::Duration;

use tokio::time::Instant;

use crate::channel::{Backoff, Jitter};
use crate::credential::{CredentialReason, CredentialRequest};
use crate::timing::Timing;

/// The requests of a device channel, of which at most one is open.
#[derive(Debug)]
pub(super) struct RequestState {
    backoff: Backoff,
    last_number: u64,
    open: Option<OpenRequest>,
}

#[derive(Debug)]
struct OpenRequest {
    request: CredentialRequest,
    since: Instant,
    /// The number of hints when the request was taken. A later hint shortens the wait.
    hints: Option<u64>,
    repetition: Option<Repetition>,
}

/// The repetition of a request that has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Repetition {
    /// The number of the request that has failed.
    pub(super) number: u64,
    /// The time of the repetition.
    pub(super) at: Instant,
    /// The wait after a hint.
    pub(super) after_hint: Duration,
    /// The number of hints that have no effect on the wait any more.
    pub(super) hints: u64,
}

impl RequestState {
    pub(super) fn new(timing: &Timing, jitter: Jitter) -> Self {
        Self { backoff: Backoff::new(timing, jitter), last_number: 0, open: None }
    }

    /// Opens a request. It replaces an earlier one.
    pub(super) fn open(&mut self, reason: CredentialReason) {
        self.last_number += 1;
        let request = CredentialRequest { number: self.last_number, reason };
        let since = Instant::now();
        self.open = Some(OpenRequest { request, since, hints: None, repetition: None });
    }

    /// Closes the request, since it was answered or is not needed any more.
    pub(super) fn close(&mut self) {
        self.open = None;
        self.backoff.reset();
    }

    /// Returns true if this request is open.
    pub(super) fn is_open(&self, number: u64) -> bool {
        self.open.as_ref().is_some_and(|open| open.request.number == number)
    }

    /// Returns the open request, unless it waits for its repetition or is not newer than `after`.
    pub(super) fn take(&mut self, after: u64, hints: u64) -> Option<CredentialRequest> {
        let open = self.open.as_mut()?;
        if open.repetition.is_some() || open.request.number <= after {
            return None;
        }
        open.hints.get_or_insert(hints);
        Some(open.request)
    }

    /// Records that the request of this number has failed, and schedules its repetition.
    pub(super) fn fail(&mut self, number: u64, hints: u64, now: Instant) {
        let Some(open) = self.open.as_mut().filter(|open| open.request.number == number) else {
            return;
        };
        if open.repetition.is_none() {
            open.repetition = Some(Repetition {
                number,
                at: now + self.backoff.after_failure(None),
                after_hint: self.backoff.after_hint(),
                hints: open.hints.unwrap_or(hints),
            });
        }
    }

    /// Returns the repetition that is scheduled.
    pub(super) fn repetition(&self) -> Option<Repetition> {
        self.open.as_ref()?.repetition
    }

    /// Opens the request again after its wait.
    pub(super) fn repeat(&mut self, number: u64, now: Instant) {
        let Some(open) = self.open.take_if(|open| open.request.number == number) else { return };
        self.open(match open.request.reason {
            CredentialReason::Expiring { within } => {
                let elapsed = now.saturating_duration_since(open.since);
                CredentialReason::Expiring { within: within.saturating_sub(elapsed) }
            }
            reason @ (CredentialReason::First | CredentialReason::Expired) => reason,
        });
    }

    #[cfg(test)]
    pub(super) fn reason(&self) -> Option<CredentialReason> {
        self.open.as_ref().map(|open| open.request.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn requests() -> RequestState {
        RequestState::new(&Timing::default(), || 1.0)
    }

    fn fail(requests: &mut RequestState, now: Instant) -> Duration {
        let number = requests.take(0, 0).unwrap().number;
        requests.fail(number, 0, now);
        requests.repetition().unwrap().at - now
    }

    #[test]
    fn the_wait_grows_with_each_failure_until_a_credential_is_given() {
        let (mut requests, now) = (requests(), Instant::now());
        requests.open(CredentialReason::First);
        for seconds in [1, 2, 4] {
            assert_eq!(fail(&mut requests, now), seconds * SECOND);
            requests.repeat(requests.last_number, now);
        }
        requests.close();
        requests.open(CredentialReason::Expired);
        assert_eq!(fail(&mut requests, now), SECOND);
    }

    #[test]
    fn a_request_that_waits_is_not_returned_and_is_repeated_with_a_new_number() {
        let (mut requests, now) = (requests(), Instant::now());
        requests.open(CredentialReason::First);
        requests.fail(1, 0, now);
        assert_eq!(requests.take(0, 0), None);
        assert!(requests.is_open(1));
        requests.repeat(1, now);
        assert!(!requests.is_open(1));
        assert_eq!(requests.take(1, 0).map(|request| request.number), Some(2));
    }

    #[test]
    fn a_failure_of_an_older_request_has_no_effect() {
        let (mut requests, now) = (requests(), Instant::now());
        requests.open(CredentialReason::First);
        requests.open(CredentialReason::Expired);
        requests.fail(1, 0, now);
        assert_eq!(requests.repetition(), None);
        requests.repeat(1, now);
        assert_eq!(requests.take(0, 0).map(|request| request.number), Some(2));
    }

    #[test]
    fn a_repeated_renewal_tells_the_time_that_is_left() {
        let (mut requests, now) = (requests(), Instant::now());
        requests.open(CredentialReason::Expiring { within: 60 * SECOND });
        requests.fail(1, 0, now);
        requests.repeat(1, now + 20 * SECOND);
        let Some(CredentialReason::Expiring { within }) = requests.reason() else {
            panic!("{requests:?}")
        };
        assert!(within > 39 * SECOND && within < 60 * SECOND, "{within:?}");
    }
}
