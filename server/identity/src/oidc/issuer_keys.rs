//! The cached keys of one issuer, and the refresh for unknown key identifiers.
//!
//! A token with an unknown `kid` may be the first one after a key rotation, so the keys are fetched
//! again. Made-up identifiers must not cause load on the issuer, so there is at most one such
//! request per minute, and identifiers that remained unknown are recorded.

use presence_core::UnixMillis;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::algorithm::JwsAlgorithm;
use super::cached_document::{
    CachedIssuerDocument, DocumentError, DocumentSource, FetchedDocument,
};
use super::key_set::KeySet;
use crate::identity::{IdentityError, Reason};

/// The interval between two requests for unknown identifiers, and the time for which an identifier
/// is recorded as unknown.
const UNKNOWN_KID_INTERVAL: Duration = Duration::from_mins(1);
/// The maximum number of recorded unknown identifiers.
const MAX_UNKNOWN_KIDS: u64 = 1_000;

/// A shared source of keys.
struct SharedSource(Arc<dyn DocumentSource<Document = KeySet>>);

#[async_trait]
impl DocumentSource for SharedSource {
    type Document = KeySet;

    async fn fetch(&self, now: UnixMillis) -> Result<FetchedDocument<KeySet>, DocumentError> {
        self.0.fetch(now).await
    }
}

/// The keys of one issuer.
pub(super) struct IssuerKeys {
    cached: CachedIssuerDocument<SharedSource>,
    /// The identifiers that the issuer does not have, each with the time of the request.
    unknown_kids: Cache<String, UnixMillis>,
    /// The time of the last request for an unknown identifier.
    last_kid_refresh: Mutex<Option<UnixMillis>>,
}

impl IssuerKeys {
    pub(super) fn new(source: Arc<dyn DocumentSource<Document = KeySet>>) -> Self {
        let unknown_kids = Cache::builder()
            .max_capacity(MAX_UNKNOWN_KIDS)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self {
            cached: CachedIssuerDocument::new(SharedSource(source)),
            unknown_kids,
            last_kid_refresh: Mutex::default(),
        }
    }

    /// Refreshes the keys if they expire soon. Returns false if the issuer is down.
    pub(super) async fn refresh_if_due(&self, now: UnixMillis) -> bool {
        self.cached.refresh_if_due(now).await
    }

    /// Returns the error of the last request, if it failed.
    pub(super) fn last_error(&self) -> Option<DocumentError> {
        self.cached.last_error()
    }

    /// Returns the key set.
    ///
    /// # Errors
    /// If the issuer cannot be reached.
    pub(super) async fn get(&self, now: UnixMillis) -> Result<Arc<KeySet>, IdentityError> {
        self.cached.get(now).await
    }

    /// Returns a key set with candidate keys for a token with this header.
    ///
    /// # Errors
    /// [`Reason::UnknownKid`], [`Reason::KeyNotUsable`], or an error if the issuer is unavailable.
    pub(super) async fn find(
        &self,
        kid: Option<&str>,
        algorithm: JwsAlgorithm,
        now: UnixMillis,
    ) -> Result<Arc<KeySet>, IdentityError> {
        let keys = self.cached.get(now).await?;
        match (keys.select(kid, algorithm).err(), kid) {
            (None, _) => Ok(keys),
            (Some(Reason::UnknownKid), Some(kid)) => {
                self.refresh_for_kid(kid, algorithm, now).await
            }
            (Some(reason), _) => Err(reason.into()),
        }
    }

    /// Fetches the keys again for an unknown identifier, if the interval permits.
    async fn refresh_for_kid(
        &self,
        kid: &str,
        algorithm: JwsAlgorithm,
        now: UnixMillis,
    ) -> Result<Arc<KeySet>, IdentityError> {
        let is_recent = |at: UnixMillis| now - at < UNKNOWN_KID_INTERVAL;
        if self.unknown_kids.get(kid).is_some_and(is_recent) {
            return Err(Reason::UnknownKid.into());
        }
        // The request in flight may already return this key.
        let permit = self.cached.acquire().await?;
        let select_known = |keys: Arc<KeySet>| match keys.select(Some(kid), algorithm).err() {
            None => Some(Ok(keys)),
            Some(Reason::UnknownKid) => None,
            Some(reason) => Some(Err(reason.into())),
        };
        if let Some(found) = self.cached.current(now).ok().and_then(select_known) {
            return found;
        }
        if self.reserve_refresh(now) {
            self.cached.fetch(&permit, now).await;
            if let Some(found) = self.cached.current(now).ok().and_then(select_known) {
                return found;
            }
            if !self.cached.is_backing_off(now) {
                self.unknown_kids.insert(kid.to_owned(), now);
            }
        }
        if self.cached.is_backing_off(now) {
            return Err(IdentityError::Unavailable);
        }
        Err(Reason::UnknownKid.into())
    }

    /// Returns true and records the time if a request for an unknown identifier is permitted.
    fn reserve_refresh(&self, now: UnixMillis) -> bool {
        let mut last_kid_refresh =
            self.last_kid_refresh.lock().unwrap_or_else(PoisonError::into_inner);
        let is_too_soon = last_kid_refresh.is_some_and(|at| now - at < UNKNOWN_KID_INTERVAL);
        if is_too_soon || self.cached.is_backing_off(now) {
            return false;
        }
        *last_kid_refresh = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::{Value, json};

    use super::*;
    use crate::oidc::test_signer::TestSigner;

    /// An issuer with changeable keys.
    #[derive(Default)]
    struct FakeIssuer {
        keys: Mutex<Option<Vec<Value>>>,
        fetches: AtomicUsize,
    }

    #[async_trait]
    impl DocumentSource for FakeIssuer {
        type Document = KeySet;

        async fn fetch(&self, _now: UnixMillis) -> Result<FetchedDocument<KeySet>, DocumentError> {
            self.fetches.fetch_add(1, Ordering::SeqCst);
            let keys = self.keys.lock().unwrap().clone().ok_or(DocumentError::Status(503))?;
            let document = KeySet::read(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
            Ok(FetchedDocument { document, max_age: None })
        }
    }

    fn issuer(names: &[&str]) -> (Arc<FakeIssuer>, IssuerKeys) {
        let fake = Arc::new(FakeIssuer::default());
        publish(&fake, names);
        (Arc::clone(&fake), IssuerKeys::new(fake))
    }

    fn publish(fake: &FakeIssuer, names: &[&str]) {
        let keys = names.iter().map(|name| TestSigner::p256(name).jwk()).collect();
        *fake.keys.lock().unwrap() = Some(keys);
    }

    async fn find(keys: &IssuerKeys, kid: &str, millis: u64) -> Result<(), IdentityError> {
        keys.find(Some(kid), JwsAlgorithm::Es256, UnixMillis::new(millis)).await.map(drop)
    }

    const UNKNOWN: Result<(), IdentityError> = Err(IdentityError::Invalid(Reason::UnknownKid));

    #[tokio::test]
    async fn a_new_key_is_found_with_one_request_and_a_removed_key_is_used_until_it_expires() {
        let (fake, keys) = issuer(&["a"]);
        assert_eq!(find(&keys, "a", 0).await, Ok(()));
        publish(&fake, &["a", "b"]);
        assert_eq!(find(&keys, "b", 1_000).await, Ok(()));
        assert_eq!(fake.fetches.load(Ordering::SeqCst), 2);
        assert_eq!(find(&keys, "a", 2_000).await, Ok(()));
        publish(&fake, &["b"]);
        assert_eq!(find(&keys, "a", 3_600_000).await, Ok(()));
        assert_eq!(find(&keys, "a", 3_601_000).await, UNKNOWN);
        assert_eq!(find(&keys, "b", 3_601_000).await, Ok(()));
    }

    #[tokio::test]
    async fn unknown_key_identifiers_cause_at_most_one_request_per_minute() {
        let (fake, keys) = issuer(&["a"]);
        for now in 0..1_000 {
            assert_eq!(find(&keys, &format!("made-up-{now}"), now).await, UNKNOWN);
        }
        assert_eq!(fake.fetches.load(Ordering::SeqCst), 2);
        assert_eq!(find(&keys, "made-up", 60_000).await, UNKNOWN);
        assert_eq!(fake.fetches.load(Ordering::SeqCst), 3);
        // The same identifier causes no request at all.
        assert_eq!(find(&keys, "made-up", 119_999).await, UNKNOWN);
        assert_eq!(fake.fetches.load(Ordering::SeqCst), 3);
        publish(&fake, &["a", "made-up"]);
        assert_eq!(find(&keys, "made-up", 120_000).await, Ok(()));
    }

    #[tokio::test]
    async fn an_unknown_key_is_unavailable_rather_than_invalid_while_the_issuer_is_down() {
        let (fake, keys) = issuer(&["a"]);
        assert_eq!(find(&keys, "a", 0).await, Ok(()));
        *fake.keys.lock().unwrap() = None;
        for now in [1_000, 2_000] {
            assert_eq!(find(&keys, "b", now).await, Err(IdentityError::Unavailable));
            assert_eq!(find(&keys, "a", now).await, Ok(()));
        }
        assert_eq!(fake.fetches.load(Ordering::SeqCst), 2);
    }
}
