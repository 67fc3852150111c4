//! A cache of one document of one issuer.
//!
//! A document is fresh for the time that the issuer states, within bounds. A stale document is used
//! while the issuer is down. At most one request is in flight, a limited number of callers wait for
//! it, and a failed request is not repeated for some time. This bounds the load on both sides.

use presence_core::UnixMillis;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Mutex as AsyncMutex, Semaphore};
use tokio::sync::{MutexGuard as AsyncGuard, SemaphorePermit};

use crate::fetch::{FetchError, FetchedResponse, GuardedClient};
use crate::identity::IdentityError;

/// The time for which a document is fresh if the issuer states none.
const DEFAULT_FRESHNESS: Duration = Duration::from_hours(1);
/// The minimum and the maximum time for which a document is fresh.
const FRESHNESS_BOUNDS: (Duration, Duration) = (Duration::from_mins(5), Duration::from_hours(24));
/// The time for which a stale document is used while the issuer is down.
const STALE_IF_ERROR: Duration = Duration::from_hours(24);
/// The delay after a failed request before the next one.
const RETRY_DELAY: Duration = Duration::from_secs(10);
/// The maximum number of callers that wait for the request in flight.
const MAX_WAITERS: usize = 64;

/// A source of documents.
#[async_trait]
pub(super) trait DocumentSource: Send + Sync {
    /// The parsed document.
    type Document: Send + Sync;

    /// Fetches the document.
    ///
    /// # Errors
    /// If the document cannot be fetched or parsed.
    async fn fetch(
        &self,
        now: UnixMillis,
    ) -> Result<FetchedDocument<Self::Document>, DocumentError>;
}

/// The reason why a document of an issuer is not available. Meant for operators, not for clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The request failed.
    #[error("{0}")]
    Fetch(#[from] FetchError),
    /// The status of the response is not 200.
    #[error("the issuer responded with status {0}")]
    Status(u16),
    /// The response is not a valid document of this issuer.
    #[error("the document is invalid, or belongs to another issuer")]
    Unreadable,
    /// Too many requests are waiting.
    #[error("too many requests are waiting")]
    Busy,
}

/// A fetched document with the lifetime that the issuer states.
pub(super) struct FetchedDocument<T> {
    pub(super) document: T,
    pub(super) max_age: Option<Duration>,
}

/// The document of a [`DocumentSource`].
pub(super) struct CachedIssuerDocument<S: DocumentSource> {
    source: S,
    state: Mutex<CacheState<S::Document>>,
    /// The lock that the caller holds while it fetches.
    fetching: AsyncMutex<()>,
    waiters: Semaphore,
}

struct CacheState<T> {
    entry: Option<StoredDocument<T>>,
    /// The time and the error of the last request, if it failed.
    last_failure: Option<(UnixMillis, DocumentError)>,
    /// The number of completed requests.
    fetches: u64,
}

struct StoredDocument<T> {
    document: Arc<T>,
    stored_at: UnixMillis,
    fresh_for: Duration,
}

/// The permit to send a request.
pub(super) struct FetchPermit<'a> {
    _waiter: SemaphorePermit<'a>,
    _fetching: AsyncGuard<'a, ()>,
}

impl<S: DocumentSource> CachedIssuerDocument<S> {
    pub(super) fn new(source: S) -> Self {
        let state = CacheState { entry: None, last_failure: None, fetches: 0 };
        Self {
            source,
            state: Mutex::new(state),
            fetching: AsyncMutex::default(),
            waiters: Semaphore::new(MAX_WAITERS),
        }
    }

    /// Returns the document: a fresh one, or a stale one if the issuer is down.
    ///
    /// # Errors
    /// [`IdentityError::Unavailable`] if there is none, [`IdentityError::Busy`] if too many callers
    /// are waiting for it.
    pub(super) async fn get(&self, now: UnixMillis) -> Result<Arc<S::Document>, IdentityError> {
        if let Some(fresh) = self.entry_within(now, |entry| entry.fresh_for) {
            return Ok(fresh);
        }
        if !self.is_backing_off(now) {
            self.refresh(now).await?;
        }
        self.current(now)
    }

    /// Returns the cached document, fresh or stale.
    ///
    /// # Errors
    /// [`IdentityError::Unavailable`] if no document is cached.
    pub(super) fn current(&self, now: UnixMillis) -> Result<Arc<S::Document>, IdentityError> {
        self.entry_within(now, |entry| entry.fresh_for.saturating_add(STALE_IF_ERROR))
            .ok_or(IdentityError::Unavailable)
    }

    /// Refreshes a document that has reached four fifths of its lifetime. Returns false if the
    /// issuer is down.
    pub(super) async fn refresh_if_due(&self, now: UnixMillis) -> bool {
        if self.entry_within(now, |entry| entry.fresh_for / 5 * 4).is_none()
            && !self.is_backing_off(now)
        {
            // If the queue is full, another caller is fetching.
            let _ = self.refresh(now).await;
        }
        !self.is_backing_off(now)
    }

    /// Returns true for some time after a failed request.
    pub(super) fn is_backing_off(&self, now: UnixMillis) -> bool {
        self.state().last_failure.is_some_and(|(failed_at, _)| now - failed_at < RETRY_DELAY)
    }

    /// Returns the error of the last request, if it failed.
    pub(super) fn last_error(&self) -> Option<DocumentError> {
        self.state().last_failure.map(|(_, error)| error)
    }

    /// Waits for the request in flight and returns the permit for the next one.
    ///
    /// # Errors
    /// [`IdentityError::Busy`] if too many callers wait.
    pub(super) async fn acquire(&self) -> Result<FetchPermit<'_>, IdentityError> {
        let waiter = self.waiters.try_acquire().map_err(|_full| IdentityError::Busy)?;
        Ok(FetchPermit { _waiter: waiter, _fetching: self.fetching.lock().await })
    }

    /// Fetches the document and stores the outcome.
    pub(super) async fn fetch(&self, _permit: &FetchPermit<'_>, now: UnixMillis) {
        let outcome = self.source.fetch(now).await;
        let mut state = self.state();
        state.fetches += 1;
        match outcome {
            Ok(FetchedDocument { document, max_age }) => {
                let (shortest, longest) = FRESHNESS_BOUNDS;
                let fresh_for = max_age.unwrap_or(DEFAULT_FRESHNESS).clamp(shortest, longest);
                state.entry = Some(StoredDocument {
                    document: Arc::new(document),
                    stored_at: now,
                    fresh_for,
                });
                state.last_failure = None;
            }
            Err(error) => state.last_failure = Some((now, error)),
        }
    }

    /// Fetches the document, or waits for another caller that is fetching it.
    async fn refresh(&self, now: UnixMillis) -> Result<(), IdentityError> {
        let before = self.state().fetches;
        let permit = self.acquire().await?;
        if self.state().fetches == before {
            self.fetch(&permit, now).await;
        }
        Ok(())
    }

    fn entry_within(
        &self,
        now: UnixMillis,
        limit: impl Fn(&StoredDocument<S::Document>) -> Duration,
    ) -> Option<Arc<S::Document>> {
        let state = self.state();
        let entry = state.entry.as_ref()?;
        let within = now - entry.stored_at < limit(entry);
        within.then(|| Arc::clone(&entry.document))
    }

    fn state(&self) -> MutexGuard<'_, CacheState<S::Document>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fetches and parses a JSON document of an issuer.
///
/// # Errors
/// If the request fails, or `read` rejects the document.
pub(super) async fn fetch<T>(
    client: &GuardedClient,
    url: &url::Url,
    read: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<FetchedDocument<T>, DocumentError> {
    let FetchedResponse { status, body, max_age, .. } = client.get(url).await?;
    if status != 200 {
        return Err(DocumentError::Status(status));
    }
    let document = read(&body).ok_or(DocumentError::Unreadable)?;
    Ok(FetchedDocument { document, max_age })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use futures_util::future::join_all;
    use tokio::sync::Notify;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);
    const HOUR: Duration = Duration::from_hours(1);
    const MILLISECOND: Duration = Duration::from_millis(1);

    fn at(time: Duration) -> UnixMillis {
        UnixMillis::default() + time
    }

    /// A source that counts the requests and can be made to fail.
    #[derive(Default)]
    struct CountingSource {
        fetches: AtomicU64,
        is_down: std::sync::atomic::AtomicBool,
        max_age: Option<Duration>,
        /// If set, a response waits for it.
        release: Option<Notify>,
    }

    #[async_trait]
    impl DocumentSource for CountingSource {
        type Document = u64;

        async fn fetch(&self, _now: UnixMillis) -> Result<FetchedDocument<u64>, DocumentError> {
            let number = self.fetches.fetch_add(1, Ordering::SeqCst) + 1;
            if let Some(release) = &self.release {
                release.notified().await;
            }
            if self.is_down.load(Ordering::SeqCst) {
                return Err(DocumentError::Status(503));
            }
            Ok(FetchedDocument { document: number, max_age: self.max_age })
        }
    }

    fn document(outcome: Result<Arc<u64>, IdentityError>) -> Result<u64, IdentityError> {
        outcome.map(|number| *number)
    }

    #[tokio::test]
    async fn a_document_is_fresh_for_the_time_that_the_issuer_states_within_bounds() {
        for (max_age, fresh) in [
            (None, HOUR),
            (Some(Duration::ZERO), 5 * MINUTE),
            (Some(2 * HOUR), 2 * HOUR),
            (Some(1000 * HOUR), 24 * HOUR),
        ] {
            let cached =
                CachedIssuerDocument::new(CountingSource { max_age, ..CountingSource::default() });
            assert_eq!(document(cached.get(at(Duration::ZERO)).await), Ok(1));
            assert_eq!(document(cached.get(at(fresh) - MILLISECOND).await), Ok(1), "{max_age:?}");
            assert_eq!(document(cached.get(at(fresh)).await), Ok(2), "{max_age:?}");
        }
    }

    #[tokio::test]
    async fn a_stale_document_is_used_for_one_day_while_the_issuer_is_down() {
        let cached = CachedIssuerDocument::new(CountingSource::default());
        assert_eq!(document(cached.get(at(Duration::ZERO)).await), Ok(1));
        cached.source.is_down.store(true, Ordering::SeqCst);
        assert_eq!(document(cached.get(at(HOUR)).await), Ok(1));
        assert_eq!(document(cached.get(at(25 * HOUR) - MILLISECOND).await), Ok(1));
        assert_eq!(document(cached.get(at(25 * HOUR)).await), Err(IdentityError::Unavailable));
        cached.source.is_down.store(false, Ordering::SeqCst);
        assert_eq!(document(cached.get(at(26 * HOUR)).await), Ok(4));
    }

    #[tokio::test]
    async fn a_failed_request_is_repeated_only_after_a_delay() {
        let cached = CachedIssuerDocument::new(CountingSource::default());
        cached.source.is_down.store(true, Ordering::SeqCst);
        for now in [at(Duration::ZERO), at(MILLISECOND), at(RETRY_DELAY) - MILLISECOND] {
            assert_eq!(document(cached.get(now).await), Err(IdentityError::Unavailable));
        }
        assert_eq!(cached.source.fetches.load(Ordering::SeqCst), 1);
        assert_eq!(document(cached.get(at(RETRY_DELAY)).await), Err(IdentityError::Unavailable));
        assert_eq!(cached.source.fetches.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_document_is_refreshed_before_it_expires() {
        let cached = CachedIssuerDocument::new(CountingSource::default());
        assert!(cached.refresh_if_due(at(Duration::ZERO)).await);
        assert!(cached.refresh_if_due(at(48 * MINUTE) - MILLISECOND).await);
        assert_eq!(cached.source.fetches.load(Ordering::SeqCst), 1);
        assert!(cached.refresh_if_due(at(48 * MINUTE)).await);
        assert_eq!(document(cached.get(at(48 * MINUTE)).await), Ok(2));
        cached.source.is_down.store(true, Ordering::SeqCst);
        assert!(!cached.refresh_if_due(at(100 * MINUTE)).await);
    }

    #[tokio::test]
    async fn concurrent_callers_share_one_request_and_excess_callers_fail_as_busy() {
        let cached = CachedIssuerDocument::new(CountingSource {
            release: Some(Notify::new()),
            ..CountingSource::default()
        });
        let one = || async { document(cached.get(at(Duration::ZERO)).await) };
        let callers = join_all((0..MAX_WAITERS).map(|_| one()));
        let excess = async {
            let outcome = one().await;
            cached.source.release.as_ref().unwrap().notify_one();
            outcome
        };
        let (callers, excess) = tokio::join!(callers, excess);
        assert_eq!(excess, Err(IdentityError::Busy));
        assert_eq!(callers, vec![Ok(1); MAX_WAITERS]);
        assert_eq!(cached.source.fetches.load(Ordering::SeqCst), 1);
    }
}
