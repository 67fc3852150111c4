//! The cache of a user's credential. The app fetches fresh ones; the rules are those of the SDK.

use std::sync::{Arc, Mutex, PoisonError};

use presence_client::{CredentialError, ExpiringCredential, UnixMillis};

use crate::cancel::CancelToken;
use crate::error::PresenceError;
use crate::object_count::CountedObject;
use crate::runtime;
use crate::secret::Credential;
use crate::state::{CredentialReason, to_duration};

/// A credential of a cache, with its number.
#[derive(Debug, Clone, uniffi::Record)]
pub struct CachedCredential {
    /// The number, which grows with each fresh credential of the cache, from 1.
    pub number: u64,
    /// The credential.
    pub credential: Credential,
}

impl From<presence_client::CachedCredential> for CachedCredential {
    fn from(cached: presence_client::CachedCredential) -> Self {
        Self { number: cached.number, credential: cached.credential.into() }
    }
}

/// The result of a lookup in a cache.
#[derive(Debug, Clone, uniffi::Enum)]
pub enum CredentialLookup {
    /// A credential is at hand.
    Found {
        /// The credential.
        cached: CachedCredential,
    },
    /// There is none, and this caller has to fetch one for all.
    Missing {
        /// The task to fetch one.
        fetch: Arc<CredentialFetch>,
    },
    /// The caller that fetched one has failed.
    Failed {
        /// Is true if the user has to sign in first.
        signed_out: bool,
        /// The reason, as that caller gave it.
        reason: String,
    },
}

/// A cache of one user's credential, which several channels and REST calls share. Apps use
/// `CachedCredentials`, which calls a function of the app to fetch one.
#[derive(Debug, uniffi::Object)]
pub struct CredentialCache {
    cache: presence_client::CredentialCache,
    _counted: CountedObject,
}

#[uniffi::export]
impl CredentialCache {
    /// Creates an empty cache. A credential is not given in the last `margin_seconds` before its
    /// end; 30 by default.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if the time is not valid.
    #[uniffi::constructor(default(margin_seconds = 30.0))]
    pub fn new(margin_seconds: f64) -> Result<Arc<Self>, PresenceError> {
        let cache = presence_client::CredentialCache::with_margin(to_duration(margin_seconds)?);
        Ok(Arc::new(Self { cache, _counted: CountedObject::new() }))
    }

    /// Looks for a valid credential with a number greater than `after`, 0 for any. If there is
    /// none, one of the callers has to fetch one, and the others wait for its result.
    ///
    /// # Errors
    ///
    /// `Cancelled` if the token was cancelled.
    #[uniffi::method(default(cancel = None))]
    pub async fn next_lookup(
        &self,
        after: u64,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<CredentialLookup, PresenceError> {
        let lookup = runtime::infallible(self.cache.lookup(after));
        Ok(match runtime::wait(cancel, lookup).await? {
            Ok(presence_client::CredentialLookup::Found(cached)) => {
                CredentialLookup::Found { cached: cached.into() }
            }
            Ok(presence_client::CredentialLookup::Missing(fetch)) => {
                CredentialLookup::Missing { fetch: CredentialFetch::new(fetch) }
            }
            Err(CredentialError::SignedOut) => {
                CredentialLookup::Failed { signed_out: true, reason: "signed out".to_owned() }
            }
            Err(CredentialError::Unavailable(reason)) => {
                CredentialLookup::Failed { signed_out: false, reason }
            }
        })
    }

    /// Returns the argument `after` of a lookup for the request of a channel that got the
    /// credential `last_given`, 0 for none of this cache. If the channel says that its credential
    /// has expired, that one is forgotten.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if the time of the reason is not valid.
    pub fn lookup_after(
        &self,
        reason: CredentialReason,
        last_given: u64,
    ) -> Result<u64, PresenceError> {
        Ok(self.cache.lookup_after(reason.try_into()?, last_given))
    }

    /// Forgets a credential that the server has refused, for example in a REST call. It is not
    /// given again, also if a fetch returns it once more. A fresh credential is kept.
    pub fn invalidate(&self, refused: Credential) {
        self.cache.invalidate(&refused.into());
    }

    /// Forgets everything, for example because the user has signed out.
    pub fn clear(&self) {
        self.cache.clear();
    }
}

/// The task of one caller to fetch a credential for all.
#[derive(Debug, uniffi::Object)]
pub struct CredentialFetch {
    fetch: Mutex<Option<presence_client::CredentialFetch>>,
    _counted: CountedObject,
}

impl CredentialFetch {
    fn new(fetch: presence_client::CredentialFetch) -> Arc<Self> {
        Arc::new(Self { fetch: Mutex::new(Some(fetch)), _counted: CountedObject::new() })
    }

    fn take(&self) -> Option<presence_client::CredentialFetch> {
        self.fetch.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[uniffi::export]
impl CredentialFetch {
    /// Gives the fresh credential to all callers that wait. `expires_at_ms` is its end, in
    /// milliseconds since 1970 UTC.
    ///
    /// # Errors
    ///
    /// `Unexpected` if the server has refused this very credential before, `InvalidArgument` if the
    /// task is over.
    #[uniffi::method(default(expires_at_ms = None))]
    pub fn complete(
        &self,
        credential: Credential,
        expires_at_ms: Option<i64>,
    ) -> Result<CachedCredential, PresenceError> {
        let over = || PresenceError::invalid_argument("the fetch is over".to_owned());
        let fetch = self.take().ok_or_else(over)?;
        let expires_at = expires_at_ms.map(|ms| UnixMillis::new(u64::try_from(ms).unwrap_or(0)));
        let fresh = ExpiringCredential { credential: credential.into(), expires_at };
        let completed = fetch.complete(fresh).map(Into::into);
        completed.map_err(|error| PresenceError::Unexpected { reason: error.to_string() })
    }

    /// Gives the reason to all callers that wait. The next lookup fetches again.
    pub fn fail(&self, reason: String) {
        if let Some(fetch) = self.take() {
            fetch.fail(CredentialError::Unavailable(reason));
        }
    }

    /// Tells all callers that wait that the user has to sign in first.
    pub fn fail_signed_out(&self) {
        if let Some(fetch) = self.take() {
            fetch.fail(CredentialError::SignedOut);
        }
    }

    /// Gives up the task, so that another caller fetches a credential.
    pub fn abandon(&self) {
        drop(self.take());
    }
}
