//! The keys of one issuer, and the care that is taken with names of keys that it does not know.
//!
//! A token with an unknown `kid` may be the first after a rotation, so the issuer is fetches once
//! more; but whoever makes up names must not permit this server into a load on the issuer. So: one
//! such question a minute, and names that were fetches for in vain are remembered.

use presence_core::UnixMillis;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::algorithm::JwsAlgorithm;
use super::cached_document::{CachedDocument, DocumentError, DocumentSource, FetchedDocument};
use super::key_set::KeySet;
use crate::identity::{IdentityError, Reason};

/// How long between two questions because of an unknown name, and how long a name is known to be
/// unknown.
const UNKNOWN_KID_INTERVAL: Duration = Duration::from_mins(1);
/// How many unknown names are remembered.
const MAX_UNKNOWN_KIDS: u64 = 1_000;

/// Where the keys come from, whatever it is.
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
    cached: CachedDocument<SharedSource>,
    /// Names that the issuer did not know, and when that was.
    unknown_kids: Cache<String, UnixMillis>,
    /// When the issuer was last fetches because of a name.
    refreshed_at: Mutex<Option<UnixMillis>>,
}

impl IssuerKeys {
    pub(super) fn new(source: Arc<dyn DocumentSource<Document = KeySet>>) -> Self {
        let unknown_kids = Cache::builder()
            .max_capacity(MAX_UNKNOWN_KIDS)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self {
            cached: CachedDocument::new(SharedSource(source)),
            unknown_kids,
            refreshed_at: Mutex::default(),
        }
    }

    /// Asks if the keys are about to be too old. False if the issuer is down.
    pub(super) async fn refresh_if_due(&self, now: UnixMillis) -> bool {
        self.cached.refresh_if_due(now).await
    }

    /// Why the issuer did not answer when it was fetches last.
    pub(super) fn last_error(&self) -> Option<DocumentError> {
        self.cached.last_error()
    }

    /// The keys.
    ///
    /// # Errors
    /// If the issuer cannot be reached.
    pub(super) async fn get(&self, now: UnixMillis) -> Result<Arc<KeySet>, IdentityError> {
        self.cached.get(now).await
    }

    /// A set in which there are keys to try for a token with this header.
    ///
    /// # Errors
    /// [`Reason::UnknownKid`] or [`Reason::KeyNotUsable`]; or if it cannot be told now.
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

    /// Asks the issuer whether it has a key of this name by now, if it may be fetches.
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
        // Whoever asks just now may ask for the same name.
        let permit = self.cached.acquire().await?;
        let known = |keys: Arc<KeySet>| match keys.select(Some(kid), algorithm).err() {
            None => Some(Ok(keys)),
            Some(Reason::UnknownKid) => None,
            Some(reason) => Some(Err(reason.into())),
        };
        if let Some(found) = self.cached.current(now).ok().and_then(known) {
            return found;
        }
        if self.reserve_refresh(now) {
            self.cached.fetch(&permit, now).await;
            if let Some(found) = self.cached.current(now).ok().and_then(known) {
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

    /// Whether the issuer may be fetches because of a name; if so, it is counted as fetches.
    fn reserve_refresh(&self, now: UnixMillis) -> bool {
        let mut refreshed_at = self.refreshed_at.lock().unwrap_or_else(PoisonError::into_inner);
        let paused = refreshed_at.is_some_and(|at| now - at < UNKNOWN_KID_INTERVAL);
        if paused || self.cached.is_backing_off(now) {
            return false;
        }
        *refreshed_at = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::{Value, json};

    use super::*;
    use crate::oidc::test_signer::TestSigner;

    /// An issuer whose fake keys can be changed.
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
    async fn a_new_key_is_found_by_one_question_and_an_old_one_ends_with_its_time() {
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
    async fn made_up_names_cost_the_issuer_one_question_a_minute() {
        let (fake, keys) = issuer(&["a"]);
        for now in 0..1_000 {
            assert_eq!(find(&keys, &format!("made-up-{now}"), now).await, UNKNOWN);
        }
        assert_eq!(fake.fetches.load(Ordering::SeqCst), 2);
        assert_eq!(find(&keys, "made-up", 60_000).await, UNKNOWN);
        assert_eq!(fake.fetches.load(Ordering::SeqCst), 3);
        // The same name again is not even worth that question.
        assert_eq!(find(&keys, "made-up", 119_999).await, UNKNOWN);
        assert_eq!(fake.fetches.load(Ordering::SeqCst), 3);
        publish(&fake, &["a", "made-up"]);
        assert_eq!(find(&keys, "made-up", 120_000).await, Ok(()));
    }

    #[tokio::test]
    async fn whether_a_key_is_unknown_cannot_be_told_while_the_issuer_is_down() {
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
