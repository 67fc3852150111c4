//! The deadline of a call: the time for which it may wait for the database.
//!
//! All waits of one call share it, so that a call that needs the database several times is not
//! slower than one that needs it once. Real time counts, since it is a real client that waits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

tokio::task_local! {
    /// The time for which the current call has waited so far.
    static WAITED: Arc<Mutex<Duration>>;
}

/// Runs a call. All its waits for the database together take at most the deadline of the store.
/// Without this, each wait has a deadline of its own. A call inside a call is a part of it.
pub fn as_one_call<F: Future>(call: F) -> impl Future<Output = F::Output> {
    let waited = WAITED.try_with(Arc::clone).unwrap_or_default();
    WAITED.scope(waited, call)
}

/// The wait of a call for one thing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wait {
    since: Instant,
    until: Instant,
}

impl Wait {
    /// Begins a wait within the deadline of the current call.
    #[expect(clippy::disallowed_methods, reason = "a client waits in real time")]
    pub(crate) fn begin(deadline: Duration) -> Self {
        let waited = WAITED.try_with(|waited| *lock(waited)).unwrap_or_default();
        let since = Instant::now();
        Self { since, until: since + deadline.saturating_sub(waited) }
    }

    /// Returns the end of the wait.
    pub(crate) fn until(self) -> Instant {
        self.until
    }

    /// Returns true if the time is over.
    #[expect(clippy::disallowed_methods, reason = "a client waits in real time")]
    pub(crate) fn is_over(self) -> bool {
        Instant::now() >= self.until
    }

    /// Ends the wait, which counts for the current call.
    pub(crate) fn end(self) {
        let waited = self.since.elapsed();
        // Without a call there is nothing to count for.
        WAITED.try_with(|sum| *lock(sum) += waited).ok();
    }
}

fn lock(waited: &Mutex<Duration>) -> MutexGuard<'_, Duration> {
    waited.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for work on the database within the deadline of the current call. Returns `None` if the
/// work is too late; then it is dropped.
pub(crate) async fn within<F: Future>(deadline: Duration, work: F) -> Option<F::Output> {
    let wait = Wait::begin(deadline);
    let output = tokio::time::timeout_at(wait.until(), work).await;
    wait.end();
    output.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(5);

    async fn is_in_time(seconds: u64) -> bool {
        within(DEADLINE, tokio::time::sleep(Duration::from_secs(seconds))).await.is_some()
    }

    #[tokio::test(start_paused = true)]
    #[expect(clippy::disallowed_methods, reason = "the test drives the time of the runtime")]
    async fn the_waits_of_one_call_share_its_deadline() {
        let started = Instant::now();
        let last = as_one_call(async {
            assert!(is_in_time(3).await);
            as_one_call(is_in_time(3)).await
        });
        assert!(!last.await);
        assert_eq!(started.elapsed(), DEADLINE);
    }

    #[tokio::test(start_paused = true)]
    async fn waits_outside_of_a_call_have_a_deadline_each() {
        assert!(is_in_time(4).await);
        assert!(is_in_time(4).await);
        assert!(!is_in_time(6).await);
    }
}
