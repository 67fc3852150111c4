//! One document of one issuer, remembered.
//!
//! Fresh for as long as the issuer says, within bounds; stale ones serve while the issuer is down.
//! One question is under way at a time, few may wait for it, and an issuer that did not answer is
//! left in peace for a while: so a crowd neither piles up here nor falls upon the issuer.

use presence_core::UnixMillis;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Mutex as AsyncMutex, Semaphore};
use tokio::sync::{MutexGuard as AsyncGuard, SemaphorePermit};

use crate::fetch::{FetchError, FetchedResponse, GuardedClient};
use crate::identity::IdentityError;

/// How long a document is fresh where the issuer does not say.
const DEFAULT_FRESH: Duration = Duration::from_hours(1);
/// The shortest and the longest time that is believed.
const FRESH_BOUNDS: (Duration, Duration) = (Duration::from_mins(5), Duration::from_hours(24));
/// How long a document that is not fresh any more serves while the issuer is down.
const STALE_FOR: Duration = Duration::from_hours(24);
/// How long an issuer that did not answer is not fetches again.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// How many may wait for the question that is under way.
const MAX_WAITING: usize = 64;

/// Asks an issuer for a document.
#[async_trait]
pub(super) trait DocumentSource: Send + Sync {
    /// What the document says.
    type Document: Send + Sync;

    /// The document, and for how long the issuer says that it is fresh.
    ///
    /// # Errors
    /// Why there is none now.
    async fn fetch(
        &self,
        now: UnixMillis,
    ) -> Result<FetchedDocument<Self::Document>, DocumentError>;
}

/// Why an issuer gave no document: for its operator or ours, not for a stranger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// It could not be fetches.
    #[error("{0}")]
    Fetch(#[from] FetchError),
    /// It answered with another status than 200.
    #[error("it answered with the status {0}")]
    Status(u16),
    /// What it answered is not the document of this issuer.
    #[error("its document cannot be read, or is another issuer's")]
    Unreadable,
    /// Too many are asking.
    #[error("too many are asking")]
    Busy,
}

/// A document that an issuer gave.
pub(super) struct FetchedDocument<T> {
    pub(super) document: T,
    pub(super) max_age: Option<Duration>,
}

/// The document of a [`DocumentSource`].
pub(super) struct CachedDocument<S: DocumentSource> {
    source: S,
    state: Mutex<CacheState<S::Document>>,
    /// CacheEntry by whoever asks.
    fetching: AsyncMutex<()>,
    waiting: Semaphore,
}

struct CacheState<T> {
    entry: Option<CacheEntry<T>>,
    /// When the source failed last, unless it has answered since.
    failed: Option<(UnixMillis, DocumentError)>,
    /// How often the source has answered or failed.
    fetches: u64,
}

struct CacheEntry<T> {
    document: Arc<T>,
    since: UnixMillis,
    fresh_for: Duration,
}

/// The right to ask.
pub(super) struct FetchPermit<'a> {
    _waiting: SemaphorePermit<'a>,
    _permit: AsyncGuard<'a, ()>,
}

impl<S: DocumentSource> CachedDocument<S> {
    pub(super) fn new(source: S) -> Self {
        let state = CacheState { entry: None, failed: None, fetches: 0 };
        Self {
            source,
            state: Mutex::new(state),
            fetching: AsyncMutex::default(),
            waiting: Semaphore::new(MAX_WAITING),
        }
    }

    /// The document: a fresh one, or a stale one where the issuer is down.
    ///
    /// # Errors
    /// [`IdentityError::Unavailable`] if there is none, [`IdentityError::Busy`] if too many are
    /// waiting for it.
    pub(super) async fn get(&self, now: UnixMillis) -> Result<Arc<S::Document>, IdentityError> {
        if let Some(fresh) = self.entry_within(now, |entry| entry.fresh_for) {
            return Ok(fresh);
        }
        if !self.is_backing_off(now) {
            self.refresh(now).await?;
        }
        self.current(now)
    }

    /// What is entry, fresh or stale.
    ///
    /// # Errors
    /// [`IdentityError::Unavailable`] if nothing is.
    pub(super) fn current(&self, now: UnixMillis) -> Result<Arc<S::Document>, IdentityError> {
        self.entry_within(now, |entry| entry.fresh_for.saturating_add(STALE_FOR))
            .ok_or(IdentityError::Unavailable)
    }

    /// Asks if the document has lived four fifths of its time. False if the issuer is down.
    pub(super) async fn refresh_if_due(&self, now: UnixMillis) -> bool {
        if self.entry_within(now, |entry| entry.fresh_for / 5 * 4).is_none()
            && !self.is_backing_off(now)
        {
            // A full queue means that somebody else asks.
            let _ = self.refresh(now).await;
        }
        !self.is_backing_off(now)
    }

    /// Whether the issuer did not answer lately.
    pub(super) fn is_backing_off(&self, now: UnixMillis) -> bool {
        self.state().failed.is_some_and(|(failed_at, _)| now - failed_at < RETRY_AFTER)
    }

    /// Why the issuer did not answer when it was fetches last.
    pub(super) fn last_error(&self) -> Option<DocumentError> {
        self.state().failed.map(|(_, error)| error)
    }

    /// Waits for a question that is under way, and then for one's own permit.
    ///
    /// # Errors
    /// [`IdentityError::Busy`] if too many wait.
    pub(super) async fn acquire(&self) -> Result<FetchPermit<'_>, IdentityError> {
        let waiting = self.waiting.try_acquire().map_err(|_full| IdentityError::Busy)?;
        Ok(FetchPermit { _waiting: waiting, _permit: self.fetching.lock().await })
    }

    /// Asks the issuer.
    pub(super) async fn fetch(&self, _permit: &FetchPermit<'_>, now: UnixMillis) {
        let answer = self.source.fetch(now).await;
        let mut state = self.state();
        state.fetches += 1;
        match answer {
            Ok(FetchedDocument { document, max_age }) => {
                let (shortest, longest) = FRESH_BOUNDS;
                let fresh_for = max_age.unwrap_or(DEFAULT_FRESH).clamp(shortest, longest);
                state.entry =
                    Some(CacheEntry { document: Arc::new(document), since: now, fresh_for });
                state.failed = None;
            }
            Err(error) => state.failed = Some((now, error)),
        }
    }

    /// Asks, or waits for another who does.
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
        limit: impl Fn(&CacheEntry<S::Document>) -> Duration,
    ) -> Option<Arc<S::Document>> {
        let state = self.state();
        let entry = state.entry.as_ref()?;
        let young = now - entry.since < limit(entry);
        young.then(|| Arc::clone(&entry.document))
    }

    fn state(&self) -> MutexGuard<'_, CacheState<S::Document>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gets a JSON document of an issuer.
///
/// # Errors
/// If it cannot be had, or `read` cannot read it.
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

    /// Counts the fetches, and fails from a certain one on.
    #[derive(Default)]
    struct Counter {
        fetches: AtomicU64,
        down: std::sync::atomic::AtomicBool,
        max_age: Option<Duration>,
        /// Where it is there, an answer waits for it.
        gate: Option<Notify>,
    }

    #[async_trait]
    impl DocumentSource for Counter {
        type Document = u64;

        async fn fetch(&self, _now: UnixMillis) -> Result<FetchedDocument<u64>, DocumentError> {
            let number = self.fetches.fetch_add(1, Ordering::SeqCst) + 1;
            if let Some(gate) = &self.gate {
                gate.notified().await;
            }
            if self.down.load(Ordering::SeqCst) {
                return Err(DocumentError::Status(503));
            }
            Ok(FetchedDocument { document: number, max_age: self.max_age })
        }
    }

    fn document(answer: Result<Arc<u64>, IdentityError>) -> Result<u64, IdentityError> {
        answer.map(|number| *number)
    }

    #[tokio::test]
    async fn a_document_is_fresh_for_as_long_as_the_issuer_says_within_bounds() {
        for (max_age, fresh) in [
            (None, HOUR),
            (Some(Duration::ZERO), 5 * MINUTE),
            (Some(2 * HOUR), 2 * HOUR),
            (Some(1000 * HOUR), 24 * HOUR),
        ] {
            let cached = CachedDocument::new(Counter { max_age, ..Counter::default() });
            assert_eq!(document(cached.get(at(Duration::ZERO)).await), Ok(1));
            assert_eq!(document(cached.get(at(fresh - MILLISECOND)).await), Ok(1), "{max_age:?}");
            assert_eq!(document(cached.get(at(fresh)).await), Ok(2), "{max_age:?}");
        }
    }

    #[tokio::test]
    async fn a_stale_document_serves_a_day_while_the_issuer_is_down_and_not_longer() {
        let cached = CachedDocument::new(Counter::default());
        assert_eq!(document(cached.get(at(Duration::ZERO)).await), Ok(1));
        cached.source.down.store(true, Ordering::SeqCst);
        assert_eq!(document(cached.get(at(HOUR)).await), Ok(1));
        assert_eq!(document(cached.get(at(25 * HOUR - MILLISECOND)).await), Ok(1));
        assert_eq!(document(cached.get(at(25 * HOUR)).await), Err(IdentityError::Unavailable));
        cached.source.down.store(false, Ordering::SeqCst);
        assert_eq!(document(cached.get(at(26 * HOUR)).await), Ok(4));
    }

    #[tokio::test]
    async fn an_issuer_that_is_down_is_asked_again_only_after_a_rest() {
        let cached = CachedDocument::new(Counter::default());
        cached.source.down.store(true, Ordering::SeqCst);
        for now in [Duration::ZERO, MILLISECOND, RETRY_AFTER - MILLISECOND] {
            assert_eq!(document(cached.get(at(now)).await), Err(IdentityError::Unavailable));
        }
        assert_eq!(cached.source.fetches.load(Ordering::SeqCst), 1);
        assert_eq!(document(cached.get(at(RETRY_AFTER)).await), Err(IdentityError::Unavailable));
        assert_eq!(cached.source.fetches.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn it_is_renewed_before_it_is_too_old() {
        let cached = CachedDocument::new(Counter::default());
        assert!(cached.refresh_if_due(at(Duration::ZERO)).await);
        assert!(cached.refresh_if_due(at(48 * MINUTE - MILLISECOND)).await);
        assert_eq!(cached.source.fetches.load(Ordering::SeqCst), 1);
        assert!(cached.refresh_if_due(at(48 * MINUTE)).await);
        assert_eq!(document(cached.get(at(48 * MINUTE)).await), Ok(2));
        cached.source.down.store(true, Ordering::SeqCst);
        assert!(!cached.refresh_if_due(at(100 * MINUTE)).await);
    }

    #[tokio::test]
    async fn a_crowd_asks_once_and_who_finds_no_room_is_told_so_at_once() {
        let cached =
            CachedDocument::new(Counter { gate: Some(Notify::new()), ..Counter::default() });
        let one = || async { document(cached.get(at(Duration::ZERO)).await) };
        let crowd = join_all((0..MAX_WAITING).map(|_| one()));
        let late = async {
            let refused = one().await;
            cached.source.gate.as_ref().unwrap().notify_one();
            refused
        };
        let (crowd, late) = tokio::join!(crowd, late);
        assert_eq!(late, Err(IdentityError::Busy));
        assert_eq!(crowd, vec![Ok(1); MAX_WAITING]);
        assert_eq!(cached.source.fetches.load(Ordering::SeqCst), 1);
    }
}
