//! The bounded cache of support documents, which limits the requests to hosts (see threats 2 and 5
//! in SECURITY.md).
//!
//! A document is fresh for as long as its host allows, within bounds. It is fetched again before
//! that time is over, and still used if its host is down. A missing document is cached too. At most
//! one request to a host is in flight at a time, and the number of all requests is limited.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use presence_core::{Clock, Steady};
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use super::client_quotas::ClientQuotas;
use super::key_source::LookupError;
use super::support_document::SupportDocument;

/// The maximum number of cached entries.
const CAPACITY: u64 = 10_000;
/// The maximum number of concurrent requests to hosts that are not listed.
const MAX_REQUESTS: usize = 16;
/// The maximum number of callers that wait for hosts that are not listed, and the same number for
/// listed ones.
const MAX_WAITERS: usize = 256;

/// The time for which a document is fresh if its host does not give one.
const DEFAULT_FRESHNESS: Duration = Duration::from_hours(1);
const MIN_FRESHNESS: Duration = Duration::from_mins(5);
const MAX_FRESHNESS: Duration = Duration::from_hours(24);
/// The time after that in which a document is still used while its host is down. The fallback
/// issuer does not certify for the domain until it is over.
const STALE_IF_ERROR: Duration = Duration::from_hours(24);

/// The delay before the next request to a host without a document.
const ABSENT_RETRY_DELAY: Duration = Duration::from_mins(10);
/// The delay before the next request to a host that cannot be reached.
const UNREACHABLE_RETRY_DELAY: Duration = Duration::from_mins(5);
/// The first delay for a listed host. It doubles each time up to [`UNREACHABLE_RETRY_DELAY`]. It
/// is shorter because the operator waits for that host.
const LISTED_RETRY_DELAY: Duration = Duration::from_secs(10);

type LookupResult = Result<Option<SupportDocument>, LookupError>;

/// Fetches support documents from their hosts.
#[async_trait]
pub(super) trait DocumentFetcher: Send + Sync + 'static {
    /// Fetches the document of `host`, with `domain` as the query.
    async fn fetch(&self, host: &str, domain: &str) -> FetchOutcome;
}

/// The outcome of one request to a host.
#[derive(Debug, Clone)]
pub(super) enum FetchOutcome {
    /// A document, and the time for which it may be cached if the host gives one.
    Document { document: SupportDocument, max_age: Option<Duration> },
    /// A response that is no support document.
    NoDocument,
    /// No response.
    Unreachable,
}

/// The key of a cached document.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct CacheKey {
    pub(super) host: String,
    /// The domain of the e-mail that is verified.
    pub(super) domain: String,
    /// Set if the operator listed the host in the settings.
    pub(super) is_listed: bool,
}

/// The cache of support documents.
pub(super) struct DocumentCache<F> {
    fetcher: Arc<F>,
    clock: Arc<dyn Clock>,
    entries: Cache<CacheKey, Arc<SupportDocumentEntry>>,
    requests: Arc<Semaphore>,
    waiters: Semaphore,
    waiters_of_listed: Semaphore,
    quotas: ClientQuotas,
}

/// The permit for one request, held while it is in flight.
struct RequestPermit(
    #[expect(dead_code, reason = "it is held, and dropped")] Option<OwnedSemaphorePermit>,
);

impl<F: DocumentFetcher> DocumentCache<F> {
    pub(super) fn new(fetcher: F, clock: Arc<dyn Clock>) -> Self {
        // The idle time only frees memory: the injected clock decides what is still fresh.
        let entries = Cache::builder()
            .max_capacity(CAPACITY)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(MAX_FRESHNESS + STALE_IF_ERROR);
        Self {
            fetcher: Arc::new(fetcher),
            entries: entries.build(),
            requests: Arc::new(Semaphore::new(MAX_REQUESTS)),
            waiters: Semaphore::new(MAX_WAITERS),
            waiters_of_listed: Semaphore::new(MAX_WAITERS),
            quotas: ClientQuotas::new(Arc::clone(&clock)),
            clock,
        }
    }

    /// Returns the document, from the cache or from its host.
    ///
    /// # Errors
    /// [`LookupError::Busy`] at once if a limit of requests or waiters is reached.
    pub(super) async fn document(&self, key: CacheKey, client: Option<IpAddr>) -> LookupResult {
        let (entry, permit) = if let Some(entry) = self.entries.get(&key) {
            (entry, None)
        } else {
            // The permit comes first, so that the cache gets no entry for a host to which no
            // request is permitted.
            let permit = self.acquire_permit(&key, client)?;
            (self.entries.get_with(key.clone(), Arc::default), Some(permit))
        };
        match entry.lookup(self.clock.steady()) {
            CacheLookup::Cached { result, refresh } => {
                if refresh {
                    self.refresh(&key, &entry);
                }
                return result;
            }
            CacheLookup::Fetch => {}
        }
        let waiters = if key.is_listed { &self.waiters_of_listed } else { &self.waiters };
        let _waiter = waiters.try_acquire().map_err(|_full| LookupError::Busy)?;
        let guard = Arc::clone(&entry.in_flight).lock_owned().await;
        // The previous holder of the guard may have fetched the document.
        if let CacheLookup::Cached { result, .. } = entry.lookup(self.clock.steady()) {
            return result;
        }
        let permit = permit.map_or_else(|| self.acquire_permit(&key, client), Ok)?;
        let fetch = self.spawn_fetch(key, entry, (guard, permit));
        fetch.await.unwrap_or(Err(LookupError::Unreachable))
    }

    /// Acquires the permit for one more request. A request to a listed host needs no quota.
    fn acquire_permit(
        &self,
        key: &CacheKey,
        client: Option<IpAddr>,
    ) -> Result<RequestPermit, LookupError> {
        if key.is_listed {
            return Ok(RequestPermit(None));
        }
        let permit =
            Arc::clone(&self.requests).try_acquire_owned().map_err(|_full| LookupError::Busy)?;
        if client.is_some_and(|client| !self.quotas.try_acquire(client)) {
            return Err(LookupError::Busy);
        }
        Ok(RequestPermit(Some(permit)))
    }

    /// Fetches a document again in the background before it is stale, unless a request to its host
    /// is already in flight or no permit is left.
    fn refresh(&self, key: &CacheKey, entry: &Arc<SupportDocumentEntry>) {
        let Ok(guard) = Arc::clone(&entry.in_flight).try_lock_owned() else { return };
        let Ok(permit) = self.acquire_permit(key, None) else { return };
        drop(self.spawn_fetch(key.clone(), Arc::clone(entry), (guard, permit)));
    }

    /// Fetches in a task of its own, so that the result is cached even if the caller is dropped.
    #[expect(
        clippy::disallowed_methods,
        reason = "nothing is lost if the process ends first, and the guarded fetch ends within seconds"
    )]
    fn spawn_fetch(
        &self,
        key: CacheKey,
        entry: Arc<SupportDocumentEntry>,
        guards: (OwnedMutexGuard<()>, RequestPermit),
    ) -> JoinHandle<LookupResult> {
        let (fetcher, clock) = (Arc::clone(&self.fetcher), Arc::clone(&self.clock));
        tokio::spawn(async move {
            let outcome = fetcher.fetch(&key.host, &key.domain).await;
            let result = entry.record(outcome, key.is_listed, clock.steady());
            drop(guards);
            result
        })
    }
}

/// One entry of the cache.
#[derive(Default)]
struct SupportDocumentEntry {
    state: Mutex<EntryState>,
    /// Locked while a request to the host is in flight.
    in_flight: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct EntryState {
    document: Option<TimedDocument>,
    failure: Option<FetchFailure>,
}

/// A document with its times.
struct TimedDocument {
    document: SupportDocument,
    refresh_at: Steady,
    fresh_until: Steady,
    stale_until: Steady,
}

/// The last request, if it returned no document.
struct FetchFailure {
    /// The time from which the next request to the host is permitted.
    retry_at: Steady,
    /// The number of earlier failures in a row.
    previous_failures: u32,
    /// Set if the host gave a response that is no document.
    responded: bool,
}

/// The result of a lookup in an entry.
enum CacheLookup {
    Cached { result: LookupResult, refresh: bool },
    Fetch,
}

impl SupportDocumentEntry {
    fn lookup(&self, now: Steady) -> CacheLookup {
        let state = self.state();
        let may_fetch = state.failure.as_ref().is_none_or(|failure| now >= failure.retry_at);
        if let Some(cached) = &state.document
            && now < cached.fresh_until
        {
            let refresh = may_fetch && now >= cached.refresh_at;
            return CacheLookup::Cached { result: Ok(Some(cached.document.clone())), refresh };
        }
        if may_fetch {
            return CacheLookup::Fetch;
        }
        CacheLookup::Cached { result: state.result_without_fetch(now), refresh: false }
    }

    fn record(&self, outcome: FetchOutcome, is_listed: bool, now: Steady) -> LookupResult {
        let mut state = self.state();
        let responded = match outcome {
            FetchOutcome::Document { document, max_age } => {
                let fresh =
                    max_age.unwrap_or(DEFAULT_FRESHNESS).clamp(MIN_FRESHNESS, MAX_FRESHNESS);
                state.failure = None;
                state.document = Some(TimedDocument {
                    document: document.clone(),
                    refresh_at: now + fresh * 4 / 5,
                    fresh_until: now + fresh,
                    stale_until: now + fresh + STALE_IF_ERROR,
                });
                return Ok(Some(document));
            }
            FetchOutcome::NoDocument => true,
            FetchOutcome::Unreachable => false,
        };
        let previous_failures =
            state.failure.as_ref().map_or(0, |failure| failure.previous_failures.saturating_add(1));
        let retry_at = now + retry_delay(responded, previous_failures, is_listed);
        state.failure = Some(FetchFailure { retry_at, previous_failures, responded });
        state.result_without_fetch(now)
    }

    fn state(&self) -> MutexGuard<'_, EntryState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EntryState {
    /// Returns the result while no request to the host is permitted.
    fn result_without_fetch(&self, now: Steady) -> LookupResult {
        let cached = self.document.as_ref().filter(|cached| now < cached.stale_until);
        let responded = self.failure.as_ref().is_some_and(|failure| failure.responded);
        match cached {
            Some(cached) if !responded => Ok(Some(cached.document.clone())),
            // The domain had an issuer within a day, so the fallback must not certify for it yet.
            Some(cached) if cached.document != SupportDocument::Disabled => {
                Err(LookupError::Unreachable)
            }
            Some(_) | None if responded => Ok(None),
            Some(_) | None => Err(LookupError::Unreachable),
        }
    }
}

/// Returns the delay before the next request to a host.
fn retry_delay(responded: bool, previous_failures: u32, is_listed: bool) -> Duration {
    match (is_listed, responded) {
        (true, _) => LISTED_RETRY_DELAY
            .saturating_mul(2_u32.saturating_pow(previous_failures))
            .min(UNREACHABLE_RETRY_DELAY),
        (false, true) => ABSENT_RETRY_DELAY,
        (false, false) => UNREACHABLE_RETRY_DELAY,
    }
}

#[cfg(test)]
mod tests;
