//! A cache of one user's credential, for several channels and calls.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use presence_protocol::UnixMillis;
use tokio::sync::Notify;

use crate::credential::{Credential, CredentialError, CredentialReason};
use crate::wall_clock;

/// The time before its end at which a cached credential is not given any more.
const DEFAULT_MARGIN: Duration = Duration::from_secs(30);
/// The maximum number of refused credentials that are remembered. Beyond it the oldest is
/// forgotten.
const MAX_REFUSED: usize = 8;

/// A credential and its end.
#[derive(Debug, Clone)]
pub struct ExpiringCredential {
    /// The credential.
    pub credential: Credential,
    /// The wall-clock time from which it is not valid; `None` if that is not known.
    pub expires_at: Option<UnixMillis>,
}

/// A cache of one user's credential, which several channels and REST calls share. Clones share the
/// cache.
///
/// It gives the same credential again until 30 seconds before its end. Of several callers that need
/// a fresh one, one fetches it and the others wait for it; if the fetch fails, they get its error.
/// A credential that the server has refused is not given again.
/// [`CachedProvider`](crate::CachedProvider) uses it for channels.
///
/// The cache suits session tokens. An identity assertion is accepted again only for the same
/// device, so several channels cannot share one.
#[derive(Clone)]
pub struct CredentialCache {
    shared: Arc<SharedCache>,
}

struct SharedCache {
    state: Mutex<CacheState>,
    changed: Notify,
    margin: Duration,
    now: fn() -> UnixMillis,
}

#[derive(Default)]
struct CacheState {
    cached: Option<CachedCredential>,
    last_number: u64,
    refused: Vec<Credential>,
    /// The number of the fetch that runs.
    running: Option<u64>,
    /// The last fetch that failed, and its error.
    failed: Option<(u64, CredentialError)>,
    last_fetch: u64,
}

/// A credential of a cache.
#[derive(Debug, Clone)]
pub struct CachedCredential {
    /// The credential.
    pub credential: Credential,
    /// The number of the credential, which grows with each fresh one, from 1.
    pub number: u64,
    expires_at: Option<UnixMillis>,
}

/// The result of a lookup in a cache.
#[derive(Debug)]
pub enum CredentialLookup {
    /// A credential is at hand.
    Found(CachedCredential),
    /// There is none, and this caller has to fetch one.
    Missing(CredentialFetch),
}

impl CredentialCache {
    /// Returns an empty cache.
    pub fn new() -> Self {
        Self::with_clock(DEFAULT_MARGIN, wall_clock::now)
    }

    /// Returns an empty cache that gives no credential in the last `margin` before its end.
    pub fn with_margin(margin: Duration) -> Self {
        Self::with_clock(margin, wall_clock::now)
    }

    fn with_clock(margin: Duration, now: fn() -> UnixMillis) -> Self {
        let (state, changed) = (Mutex::default(), Notify::new());
        Self { shared: Arc::new(SharedCache { state, changed, margin, now }) }
    }

    /// Looks for a valid credential with a number greater than `after`, 0 for any. If there is
    /// none, one of the callers gets [`CredentialLookup::Missing`], and the others wait for its
    /// result. Cancel-safe.
    ///
    /// # Errors
    ///
    /// The error of the fetch that this call has waited for.
    pub async fn lookup(&self, after: u64) -> Result<CredentialLookup, CredentialError> {
        let mut awaited = None;
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            // Registered before the check, so that no change is missed in between.
            changed.as_mut().enable();
            if let Some(result) = self.poll_lookup(after, &mut awaited) {
                return result;
            }
            changed.await;
        }
    }

    /// Returns the credential that is at hand, or fetches a fresh one with `fetch`.
    ///
    /// # Errors
    ///
    /// The error of `fetch`, whichever caller has called it.
    pub async fn get_or_fetch<F>(
        &self,
        fetch: impl FnOnce() -> F + Send,
    ) -> Result<Credential, CredentialError>
    where
        F: Future<Output = Result<ExpiringCredential, CredentialError>> + Send,
    {
        Ok(self.get_newer_or_fetch(0, fetch).await?.credential)
    }

    pub(super) async fn get_newer_or_fetch<F>(
        &self,
        after: u64,
        fetch: impl FnOnce() -> F + Send,
    ) -> Result<CachedCredential, CredentialError>
    where
        F: Future<Output = Result<ExpiringCredential, CredentialError>> + Send,
    {
        match self.lookup(after).await? {
            CredentialLookup::Found(cached) => Ok(cached),
            CredentialLookup::Missing(task) => match fetch().await {
                Ok(fresh) => task.complete(fresh),
                Err(error) => {
                    task.fail(error.clone());
                    Err(error)
                }
            },
        }
    }

    /// Forgets a credential that the server has refused, for example with errno 32 to a REST call.
    /// It is not given again, also if a fetch returns it once more. A fresh credential is kept.
    pub fn invalidate(&self, refused: &Credential) {
        self.with(|state| state.refuse(refused.clone()));
    }

    /// Forgets everything, for example because the user has signed out. The result of a fetch that
    /// runs goes only to the caller that fetches.
    pub fn clear(&self) {
        self.with(|state| {
            let (last_number, last_fetch) = (state.last_number, state.last_fetch);
            *state = CacheState { last_number, last_fetch, ..CacheState::default() };
        });
        self.shared.changed.notify_waiters();
    }

    /// Returns the argument of [`lookup`](Self::lookup) for the request of a channel that got the
    /// credential `last_given`, 0 for none of this cache. If the channel says that its credential
    /// has expired, that one is forgotten.
    pub fn lookup_after(&self, reason: CredentialReason, last_given: u64) -> u64 {
        self.with(|state| match (reason, last_given) {
            (CredentialReason::First, _) => 0,
            // The channel had a credential of another origin, perhaps the same one.
            (_, 0) => state.cached.as_ref().map_or(0, |cached| cached.number),
            (CredentialReason::Expiring { .. }, _) => last_given,
            (CredentialReason::Expired, _) => {
                if let Some(refused) = state.cached.take_if(|cached| cached.number == last_given) {
                    state.refuse(refused.credential);
                }
                last_given
            }
        })
    }

    /// Returns the result of a lookup, or `None` if another caller's fetch runs. `awaited` is the
    /// fetch that this caller waits for.
    fn poll_lookup(
        &self,
        after: u64,
        awaited: &mut Option<u64>,
    ) -> Option<Result<CredentialLookup, CredentialError>> {
        let (now, margin) = ((self.shared.now)(), self.shared.margin);
        self.with(|state| {
            if let Some(cached) = state.valid(after, now, margin) {
                return Some(Ok(CredentialLookup::Found(cached)));
            }
            // A credential that is valid for less than the margin still serves those that waited.
            let waited = awaited.filter(|fetch| state.running != Some(*fetch));
            if let Some(fetch) = waited {
                if let Some((failed, error)) = &state.failed
                    && *failed == fetch
                {
                    return Some(Err(error.clone()));
                }
                if let Some(cached) = state.valid(after, now, Duration::ZERO) {
                    return Some(Ok(CredentialLookup::Found(cached)));
                }
            }
            if let Some(running) = state.running {
                *awaited = Some(running);
                return None;
            }
            state.last_fetch += 1;
            state.running = Some(state.last_fetch);
            let fetch = CredentialFetch { cache: self.clone(), number: state.last_fetch };
            Some(Ok(CredentialLookup::Missing(fetch)))
        })
    }

    fn with<R>(&self, work: impl FnOnce(&mut CacheState) -> R) -> R {
        work(&mut self.shared.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Default for CredentialCache {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CredentialCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialCache").finish_non_exhaustive()
    }
}

impl CacheState {
    fn valid(&self, after: u64, now: UnixMillis, margin: Duration) -> Option<CachedCredential> {
        let cached = self.cached.as_ref()?;
        let is_valid = cached.expires_at.is_none_or(|end| now + margin < end);
        (is_valid && cached.number > after).then(|| cached.clone())
    }

    fn refuse(&mut self, refused: Credential) {
        self.cached.take_if(|cached| cached.credential.is_same(&refused));
        if self.is_refused(&refused) {
            return;
        }
        if self.refused.len() == MAX_REFUSED {
            self.refused.remove(0);
        }
        self.refused.push(refused);
    }

    fn is_refused(&self, credential: &Credential) -> bool {
        self.refused.iter().any(|refused| refused.is_same(credential))
    }
}

/// The task of one caller to fetch a credential for all. If it is dropped, another caller fetches
/// one.
pub struct CredentialFetch {
    cache: CredentialCache,
    number: u64,
}

impl CredentialFetch {
    /// Gives the fresh credential to all callers that wait.
    ///
    /// # Errors
    ///
    /// [`CredentialError::Unavailable`] if the server has refused this very credential before.
    pub fn complete(self, fresh: ExpiringCredential) -> Result<CachedCredential, CredentialError> {
        let ExpiringCredential { credential, expires_at } = fresh;
        self.cache.with(|state| {
            if state.is_refused(&credential) {
                let reason = "the server has refused the credential that was fetched".to_owned();
                let error = CredentialError::Unavailable(reason);
                state.end(self.number, Some(error.clone()));
                return Err(error);
            }
            state.last_number += 1;
            let number = state.last_number;
            let cached = CachedCredential { credential, number, expires_at };
            if state.running == Some(self.number) {
                state.cached = Some(cached.clone());
            }
            state.end(self.number, None);
            Ok(cached)
        })
    }

    /// Gives the error to all callers that wait. The next lookup fetches again.
    pub fn fail(self, error: CredentialError) {
        self.cache.with(|state| state.end(self.number, Some(error)));
    }
}

impl CacheState {
    fn end(&mut self, fetch: u64, error: Option<CredentialError>) {
        if self.running.take_if(|running| *running == fetch).is_some() {
            self.failed = error.map(|error| (fetch, error));
        }
    }
}

impl Drop for CredentialFetch {
    fn drop(&mut self) {
        self.cache.with(|state| state.end(self.number, None));
        self.cache.shared.changed.notify_waiters();
    }
}

impl fmt::Debug for CredentialFetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialFetch").field("number", &self.number).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
