use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use futures_util::FutureExt;
use futures_util::future::join_all;
use secrecy::ExposeSecret;

use super::*;
use crate::credential::CredentialProvider;
use crate::credential_cache::CachedCredentials;

const SECOND: Duration = Duration::from_secs(1);
const START: u64 = 1_800_000_000;

/// The time of the tests that move it. Each uses a cache of its own.
static NOW: AtomicU64 = AtomicU64::new(START);

fn moving_clock() -> UnixMillis {
    UnixMillis::from_secs(NOW.load(Ordering::SeqCst))
}

fn start() -> UnixMillis {
    UnixMillis::from_secs(START)
}

fn fresh(text: &str, lasts: Option<Duration>) -> ExpiringCredential {
    ExpiringCredential {
        credential: Credential::Token(text.to_owned().into()),
        expires_at: lasts.map(|lasts| start() + lasts),
    }
}

fn text(credential: &Credential) -> &str {
    match credential {
        Credential::Assertion(text) | Credential::Token(text) => text.expose_secret(),
    }
}

/// Returns a source of the tokens "1", "2", …, and the number of calls.
fn counting() -> (CachedCredentials, Arc<AtomicUsize>) {
    let calls = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&calls);
    let credentials = CachedCredentials::new(move || {
        let call = counted.fetch_add(1, Ordering::SeqCst) + 1;
        async move {
            tokio::task::yield_now().await;
            Ok(ExpiringCredential { expires_at: None, ..fresh(&call.to_string(), None) })
        }
    });
    (credentials, calls)
}

#[tokio::test]
async fn a_credential_is_given_again_until_shortly_before_its_end() {
    let cache = CredentialCache::with_clock(30 * SECOND, moving_clock);
    let given = async |after: u64, name: &'static str| {
        NOW.store(START + after, Ordering::SeqCst);
        let lasts = Some(Duration::from_secs(after) + 100 * SECOND);
        let got = cache.get_or_fetch(|| async { Ok(fresh(name, lasts)) }).await.unwrap();
        text(&got).to_owned()
    };
    assert_eq!(given(0, "first").await, "first");
    assert_eq!(given(69, "second").await, "first");
    assert_eq!(given(70, "third").await, "third");
}

#[tokio::test]
async fn concurrent_callers_share_one_fetch() {
    let (credentials, calls) = counting();
    let given = join_all((0..50).map(|_| credentials.credential())).await;
    assert!(given.iter().all(|one| text(one.as_ref().unwrap()) == "1"));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_error_of_a_fetch_goes_to_all_that_wait_and_the_next_call_fetches_again() {
    let cache = CredentialCache::new();
    let error = CredentialError::Unavailable("no network".to_owned());
    let CredentialLookup::Missing(fetch) = cache.lookup(0).await.unwrap() else { panic!("found") };
    let mut waiting = Box::pin(cache.lookup(0));
    assert!(waiting.as_mut().now_or_never().is_none());
    fetch.fail(error.clone());
    assert_eq!(waiting.await.unwrap_err(), error);
    assert!(matches!(cache.lookup(0).await, Ok(CredentialLookup::Missing(_))));
}

#[tokio::test]
async fn a_fetch_that_is_dropped_is_made_by_another_caller() {
    let cache = CredentialCache::new();
    let CredentialLookup::Missing(fetch) = cache.lookup(0).await.unwrap() else { panic!("found") };
    let mut waiting = Box::pin(cache.lookup(0));
    assert!(waiting.as_mut().now_or_never().is_none());
    drop(fetch);
    assert!(matches!(waiting.await, Ok(CredentialLookup::Missing(_))));
}

#[tokio::test]
async fn those_that_wait_get_a_credential_that_ends_within_the_margin() {
    let cache = CredentialCache::with_clock(30 * SECOND, start);
    let CredentialLookup::Missing(fetch) = cache.lookup(0).await.unwrap() else { panic!("found") };
    let mut waiting = Box::pin(cache.lookup(0));
    assert!(waiting.as_mut().now_or_never().is_none());
    fetch.complete(fresh("short", Some(10 * SECOND))).unwrap();
    assert!(matches!(waiting.await, Ok(CredentialLookup::Found(_))));
    assert!(matches!(cache.lookup(0).await, Ok(CredentialLookup::Missing(_))));
}

#[tokio::test]
async fn channels_whose_shared_credential_has_expired_share_the_next_one() {
    let (credentials, calls) = counting();
    let providers: Vec<_> = (0..10).map(|_| credentials.provider()).collect();
    for (reason, expected) in [(CredentialReason::First, "1"), (CredentialReason::Expired, "2")] {
        let given = join_all(providers.iter().map(|one| one.credential(reason))).await;
        assert!(given.iter().all(|one| text(one.as_ref().unwrap()) == expected), "{given:?}");
    }
    let within = CredentialReason::Expiring { within: SECOND };
    assert_eq!(text(&providers[0].credential(within).await.unwrap()), "3");
    assert_eq!(text(&providers[1].credential(within).await.unwrap()), "3");
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_channel_whose_own_credential_was_refused_gets_a_fresh_one() {
    let (credentials, calls) = counting();
    credentials.credential().await.unwrap();
    let given = credentials.provider().credential(CredentialReason::Expired).await.unwrap();
    assert_eq!((text(&given), calls.load(Ordering::SeqCst)), ("2", 2));
}

#[tokio::test]
async fn a_refused_credential_is_not_given_again_even_if_the_source_returns_it() {
    let cache = CredentialCache::new();
    let stale = || async { Ok(fresh("stale", None)) };
    let given = cache.get_or_fetch(stale).await.unwrap();
    cache.invalidate(&given);
    let refused = cache.get_or_fetch(stale).await;
    assert!(matches!(refused, Err(CredentialError::Unavailable(_))), "{refused:?}");
    let given = cache.get_or_fetch(|| async { Ok(fresh("new", None)) }).await.unwrap();
    cache.invalidate(&Credential::Token("stale".to_owned().into()));
    let kept = cache.get_or_fetch(|| async { Ok(fresh("newer", None)) }).await.unwrap();
    assert_eq!((text(&given), text(&kept)), ("new", "new"));
}

#[tokio::test]
async fn a_fetch_that_ran_while_the_cache_was_cleared_does_not_fill_it() {
    let cache = CredentialCache::new();
    let CredentialLookup::Missing(fetch) = cache.lookup(0).await.unwrap() else { panic!("found") };
    cache.clear();
    fetch.complete(fresh("of another user", None)).unwrap();
    assert!(matches!(cache.lookup(0).await, Ok(CredentialLookup::Missing(_))));
}

#[tokio::test]
async fn the_memory_of_refused_credentials_is_bounded() {
    let cache = CredentialCache::new();
    for number in 0..100 {
        cache.invalidate(&fresh(&number.to_string(), None).credential);
    }
    assert_eq!(cache.with(|state| state.refused.len()), MAX_REFUSED);
}
