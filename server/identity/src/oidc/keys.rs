//! The keys of one issuer, and the care that is taken with names of keys that it does not know.
//!
//! A token with an unknown `kid` may be the first after a rotation, so the issuer is asked once
//! more; but whoever makes up names must not turn this server into a load on the issuer. So: one
//! such question a minute, and names that were asked for in vain are remembered.

use presence_core::UnixMillis;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::algorithm::Algorithm;
use super::cached::{Answered, Cached, Source, Trouble};
use super::key_set::KeySet;
use crate::identity::{IdentityError, Reason};

/// How long between two questions because of an unknown name, and how long a name is known to be
/// unknown.
const PAUSE: Duration = Duration::from_mins(1);
/// How many unknown names are remembered.
const NAMES: u64 = 1_000;

/// Where the keys come from, whatever it is.
struct AnySource(Arc<dyn Source<Document = KeySet>>);

#[async_trait]
impl Source for AnySource {
    type Document = KeySet;

    async fn ask(&self, now: UnixMillis) -> Result<Answered<KeySet>, Trouble> {
        self.0.ask(now).await
    }
}

/// The keys of one issuer.
pub(super) struct Keys {
    cached: Cached<AnySource>,
    /// Names that the issuer did not know, and when that was.
    absent: Cache<String, UnixMillis>,
    /// When the issuer was last asked because of a name.
    asked_at: Mutex<Option<UnixMillis>>,
}

impl Keys {
    pub(super) fn new(source: Arc<dyn Source<Document = KeySet>>) -> Self {
        let absent =
            Cache::builder().max_capacity(NAMES).eviction_policy(EvictionPolicy::lru()).build();
        Self { cached: Cached::new(AnySource(source)), absent, asked_at: Mutex::default() }
    }

    /// Asks if the keys are about to be too old. False if the issuer is down.
    pub(super) async fn tend(&self, now: UnixMillis) -> bool {
        self.cached.tend(now).await
    }

    /// Why the issuer did not answer when it was asked last.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.cached.trouble()
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
        algorithm: Algorithm,
        now: UnixMillis,
    ) -> Result<Arc<KeySet>, IdentityError> {
        let keys = self.cached.get(now).await?;
        match (keys.select(kid, algorithm).err(), kid) {
            (None, _) => Ok(keys),
            (Some(Reason::UnknownKid), Some(kid)) => self.look_again(kid, algorithm, now).await,
            (Some(reason), _) => Err(reason.into()),
        }
    }

    /// Asks the issuer whether it has a key of this name by now, if it may be asked.
    async fn look_again(
        &self,
        kid: &str,
        algorithm: Algorithm,
        now: UnixMillis,
    ) -> Result<Arc<KeySet>, IdentityError> {
        let is_recent = |at: UnixMillis| now - at < PAUSE;
        if self.absent.get(kid).is_some_and(is_recent) {
            return Err(Reason::UnknownKid.into());
        }
        // Whoever asks just now may ask for the same name.
        let turn = self.cached.turn().await?;
        let known = |keys: Arc<KeySet>| match keys.select(Some(kid), algorithm).err() {
            None => Some(Ok(keys)),
            Some(Reason::UnknownKid) => None,
            Some(reason) => Some(Err(reason.into())),
        };
        if let Some(found) = self.cached.held(now).ok().and_then(known) {
            return found;
        }
        if self.may_ask(now) {
            self.cached.ask(&turn, now).await;
            if let Some(found) = self.cached.held(now).ok().and_then(known) {
                return found;
            }
            if !self.cached.is_resting(now) {
                self.absent.insert(kid.to_owned(), now);
            }
        }
        if self.cached.is_resting(now) {
            return Err(IdentityError::Unavailable);
        }
        Err(Reason::UnknownKid.into())
    }

    /// Whether the issuer may be asked because of a name; if so, it is counted as asked.
    fn may_ask(&self, now: UnixMillis) -> bool {
        let mut asked_at = self.asked_at.lock().unwrap_or_else(PoisonError::into_inner);
        let paused = asked_at.is_some_and(|at| now - at < PAUSE);
        if paused || self.cached.is_resting(now) {
            return false;
        }
        *asked_at = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::{Value, json};

    use super::*;
    use crate::oidc::mint::Signer;

    /// An issuer whose published keys can be changed.
    #[derive(Default)]
    struct Published {
        keys: Mutex<Option<Vec<Value>>>,
        asked: AtomicUsize,
    }

    #[async_trait]
    impl Source for Published {
        type Document = KeySet;

        async fn ask(&self, _now: UnixMillis) -> Result<Answered<KeySet>, Trouble> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let keys = self.keys.lock().unwrap().clone().ok_or(Trouble::Status(503))?;
            let document = KeySet::read(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
            Ok(Answered { document, max_age: None })
        }
    }

    fn issuer(names: &[&str]) -> (Arc<Published>, Keys) {
        let published = Arc::new(Published::default());
        publish(&published, names);
        (Arc::clone(&published), Keys::new(published))
    }

    fn publish(published: &Published, names: &[&str]) {
        let keys = names.iter().map(|name| Signer::p256(name).jwk()).collect();
        *published.keys.lock().unwrap() = Some(keys);
    }

    async fn find(keys: &Keys, kid: &str, millis: u64) -> Result<(), IdentityError> {
        keys.find(Some(kid), Algorithm::Es256, UnixMillis::new(millis)).await.map(drop)
    }

    const UNKNOWN: Result<(), IdentityError> = Err(IdentityError::Invalid(Reason::UnknownKid));

    #[tokio::test]
    async fn a_new_key_is_found_by_one_question_and_an_old_one_ends_with_its_time() {
        let (published, keys) = issuer(&["a"]);
        assert_eq!(find(&keys, "a", 0).await, Ok(()));
        publish(&published, &["a", "b"]);
        assert_eq!(find(&keys, "b", 1_000).await, Ok(()));
        assert_eq!(published.asked.load(Ordering::SeqCst), 2);
        assert_eq!(find(&keys, "a", 2_000).await, Ok(()));
        publish(&published, &["b"]);
        assert_eq!(find(&keys, "a", 3_600_000).await, Ok(()));
        assert_eq!(find(&keys, "a", 3_601_000).await, UNKNOWN);
        assert_eq!(find(&keys, "b", 3_601_000).await, Ok(()));
    }

    #[tokio::test]
    async fn made_up_names_cost_the_issuer_one_question_a_minute() {
        let (published, keys) = issuer(&["a"]);
        for now in 0..1_000 {
            assert_eq!(find(&keys, &format!("made-up-{now}"), now).await, UNKNOWN);
        }
        assert_eq!(published.asked.load(Ordering::SeqCst), 2);
        assert_eq!(find(&keys, "made-up", 60_000).await, UNKNOWN);
        assert_eq!(published.asked.load(Ordering::SeqCst), 3);
        // The same name again is not even worth that question.
        assert_eq!(find(&keys, "made-up", 119_999).await, UNKNOWN);
        assert_eq!(published.asked.load(Ordering::SeqCst), 3);
        publish(&published, &["a", "made-up"]);
        assert_eq!(find(&keys, "made-up", 120_000).await, Ok(()));
    }

    #[tokio::test]
    async fn whether_a_key_is_unknown_cannot_be_told_while_the_issuer_is_down() {
        let (published, keys) = issuer(&["a"]);
        assert_eq!(find(&keys, "a", 0).await, Ok(()));
        *published.keys.lock().unwrap() = None;
        for now in [1_000, 2_000] {
            assert_eq!(find(&keys, "b", now).await, Err(IdentityError::Unavailable));
            assert_eq!(find(&keys, "a", now).await, Ok(()));
        }
        assert_eq!(published.asked.load(Ordering::SeqCst), 2);
    }
}
