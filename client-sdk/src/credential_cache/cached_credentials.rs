//! A credential source with a cache, as a provider for channels and for REST calls.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::BoxFuture;

use super::cache::{CredentialCache, ExpiringCredential};
use crate::credential::{Credential, CredentialError, CredentialProvider, CredentialReason};

/// A source of fresh credentials that tells when they end, such as a sign-in.
///
/// Every function without arguments that returns a suitable future is a source.
pub trait CredentialSource: Send + Sync + 'static {
    /// Fetches a fresh credential. The future may be dropped before it is done.
    ///
    /// # Errors
    ///
    /// [`CredentialError`] determines whether a channel asks again.
    fn fetch(&self) -> BoxFuture<'_, Result<ExpiringCredential, CredentialError>>;
}

impl<F, Output> CredentialSource for F
where
    F: Fn() -> Output + Send + Sync + 'static,
    Output: Future<Output = Result<ExpiringCredential, CredentialError>> + Send + 'static,
{
    fn fetch(&self) -> BoxFuture<'_, Result<ExpiringCredential, CredentialError>> {
        Box::pin(self())
    }
}

/// A [`CredentialCache`] with the source that fills it.
#[derive(Clone)]
pub struct CachedCredentials {
    cache: CredentialCache,
    source: Arc<dyn CredentialSource>,
}

impl CachedCredentials {
    /// Returns an empty cache for this source.
    pub fn new(source: impl CredentialSource) -> Self {
        Self::with_cache(CredentialCache::new(), source)
    }

    /// Returns a source with this cache.
    pub fn with_cache(cache: CredentialCache, source: impl CredentialSource) -> Self {
        Self { cache, source: Arc::new(source) }
    }

    /// Returns the credential, for a REST call for example: the cached one, or a fresh one. If the
    /// server refuses it, call [`CredentialCache::invalidate`] and this function again.
    ///
    /// # Errors
    ///
    /// The error of the source.
    pub async fn credential(&self) -> Result<Credential, CredentialError> {
        self.cache.get_or_fetch(|| self.source.fetch()).await
    }

    /// Returns the cache, to invalidate or clear it.
    pub fn cache(&self) -> &CredentialCache {
        &self.cache
    }

    /// Returns a provider for one channel. Each channel needs one of its own, which knows the
    /// credential that the channel got last.
    pub fn provider(&self) -> CachedProvider {
        CachedProvider { credentials: self.clone(), last_given: AtomicU64::new(0) }
    }
}

impl fmt::Debug for CachedCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedCredentials").finish_non_exhaustive()
    }
}

/// The provider of one channel that gives the credentials of a cache. Made by
/// [`CachedCredentials::provider`].
#[derive(Debug)]
pub struct CachedProvider {
    credentials: CachedCredentials,
    /// The number of the credential that the channel got last, or 0.
    last_given: AtomicU64,
}

impl CredentialProvider for CachedProvider {
    fn credential(
        &self,
        reason: CredentialReason,
    ) -> BoxFuture<'_, Result<Credential, CredentialError>> {
        Box::pin(async move {
            let CachedCredentials { cache, source } = &self.credentials;
            let after = cache.lookup_after(reason, self.last_given.load(Ordering::Acquire));
            let cached = cache.get_newer_or_fetch(after, || source.fetch()).await?;
            self.last_given.store(cached.number, Ordering::Release);
            Ok(cached.credential)
        })
    }
}
