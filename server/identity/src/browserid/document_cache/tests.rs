//! The cache on a manual clock, with scripted hosts.

use std::collections::VecDeque;

use presence_core::ManualClock;
use tokio::sync::Notify;

use super::*;

const CLIENT: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));

/// A fetcher that gives the outcomes of a script in order, then [`FetchOutcome::Unreachable`].
#[derive(Default)]
struct ScriptedFetcher {
    outcomes: Mutex<VecDeque<FetchOutcome>>,
    requests: Mutex<Vec<String>>,
    /// A semaphore that each response waits for, if there is one.
    gate: Option<Semaphore>,
    arrived: Notify,
}

#[async_trait]
impl DocumentFetcher for Arc<ScriptedFetcher> {
    async fn fetch(&self, host: &str, _domain: &str) -> FetchOutcome {
        self.requests.lock().unwrap().push(host.to_owned());
        self.arrived.notify_one();
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        self.outcomes.lock().unwrap().pop_front().unwrap_or(FetchOutcome::Unreachable)
    }
}

struct CacheFixture {
    fetcher: Arc<ScriptedFetcher>,
    cache: Arc<DocumentCache<Arc<ScriptedFetcher>>>,
    clock: Arc<ManualClock>,
}

impl CacheFixture {
    fn new(outcomes: impl IntoIterator<Item = FetchOutcome>) -> Self {
        Self::with_gate(outcomes, None)
    }

    fn with_gate(
        outcomes: impl IntoIterator<Item = FetchOutcome>,
        gate: Option<Semaphore>,
    ) -> Self {
        let outcomes = Mutex::new(outcomes.into_iter().collect());
        let fetcher = Arc::new(ScriptedFetcher { outcomes, gate, ..ScriptedFetcher::default() });
        let clock = Arc::new(ManualClock::default());
        let shared = Arc::<ManualClock>::clone(&clock);
        let cache = Arc::new(DocumentCache::new(Arc::clone(&fetcher), shared));
        Self { fetcher, cache, clock }
    }

    async fn ask(&self, host: &str) -> LookupResult {
        self.cache.document(key(host, false), CLIENT).await
    }

    /// Advances the clock.
    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    fn request_count(&self) -> usize {
        self.fetcher.requests.lock().unwrap().len()
    }
}

fn key(host: &str, is_listed: bool) -> CacheKey {
    CacheKey { host: host.to_owned(), domain: host.to_owned(), is_listed }
}

fn delegated_to(authority: &str) -> SupportDocument {
    SupportDocument::Delegated { authority: authority.to_owned() }
}

fn document(authority: &str, max_age: Option<u64>) -> FetchOutcome {
    FetchOutcome::Document {
        document: delegated_to(authority),
        max_age: max_age.map(Duration::from_secs),
    }
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

#[tokio::test]
async fn a_support_document_is_fresh_for_the_max_age_of_its_host_within_bounds() {
    for (max_age, fresh) in [
        (None, HOUR),
        (Some(2 * HOUR), 2 * HOUR),
        (Some(0), 5 * MINUTE),
        (Some(1), 5 * MINUTE),
        (Some(999 * HOUR), 24 * HOUR),
    ] {
        let fixture =
            CacheFixture::new([document("a.example", max_age), document("b.example", None)]);
        assert_eq!(fixture.ask("idp.example").await, Ok(Some(delegated_to("a.example"))));
        // One second before the cache would refresh it.
        fixture.advance(fresh * 4 / 5 - 1);
        assert_eq!(fixture.ask("idp.example").await, Ok(Some(delegated_to("a.example"))));
        tokio::task::yield_now().await;
        assert_eq!(fixture.request_count(), 1, "{max_age:?}");
        fixture.advance(fresh / 5 + 2);
        assert_eq!(
            fixture.ask("idp.example").await,
            Ok(Some(delegated_to("b.example"))),
            "{max_age:?}"
        );
    }
}

#[tokio::test]
async fn a_document_in_use_is_refreshed_in_the_background_before_it_is_stale() {
    let fixture = CacheFixture::new([document("a.example", None), document("b.example", None)]);
    fixture.ask("idp.example").await.unwrap();
    fixture.advance(50 * MINUTE);
    assert_eq!(fixture.ask("idp.example").await, Ok(Some(delegated_to("a.example"))));
    fixture.fetcher.arrived.notified().await;
    while fixture.ask("idp.example").await != Ok(Some(delegated_to("b.example"))) {
        tokio::task::yield_now().await;
    }
    assert_eq!(fixture.request_count(), 2);
}

#[tokio::test]
async fn a_stale_document_is_used_for_a_day_while_its_host_is_down() {
    let fixture = CacheFixture::new([document("a.example", None)]);
    fixture.ask("idp.example").await.unwrap();
    fixture.advance(24 * HOUR);
    assert_eq!(fixture.ask("idp.example").await, Ok(Some(delegated_to("a.example"))));
    assert_eq!(fixture.request_count(), 2);
    fixture.advance(2 * HOUR);
    assert_eq!(fixture.ask("idp.example").await, Err(LookupError::Unreachable));
}

/// Holds threat 5.
#[tokio::test]
async fn a_domain_that_had_a_document_within_a_day_is_not_reported_as_absent() {
    let fixture = CacheFixture::new([
        document("a.example", None),
        FetchOutcome::NoDocument,
        FetchOutcome::NoDocument,
    ]);
    fixture.ask("idp.example").await.unwrap();
    fixture.advance(2 * HOUR);
    assert_eq!(fixture.ask("idp.example").await, Err(LookupError::Unreachable));
    fixture.advance(24 * HOUR);
    assert_eq!(fixture.ask("idp.example").await, Ok(None));
}

#[tokio::test]
async fn a_disabled_domain_without_a_document_is_reported_as_absent() {
    let disabled = FetchOutcome::Document { document: SupportDocument::Disabled, max_age: None };
    let fixture = CacheFixture::new([disabled, FetchOutcome::NoDocument]);
    assert_eq!(fixture.ask("idp.example").await, Ok(Some(SupportDocument::Disabled)));
    fixture.advance(2 * HOUR);
    assert_eq!(fixture.ask("idp.example").await, Ok(None));
}

#[tokio::test]
async fn the_next_request_to_a_host_without_a_document_comes_after_a_delay() {
    for (outcome, result, pause) in [
        (FetchOutcome::NoDocument, Ok(None), 10 * MINUTE),
        (FetchOutcome::Unreachable, Err(LookupError::Unreachable), 5 * MINUTE),
    ] {
        let fixture = CacheFixture::new([outcome, document("a.example", None)]);
        assert_eq!(fixture.ask("idp.example").await, result);
        fixture.advance(pause - 1);
        assert_eq!(fixture.ask("idp.example").await, result);
        assert_eq!(fixture.request_count(), 1);
        fixture.advance(1);
        assert_eq!(fixture.ask("idp.example").await, Ok(Some(delegated_to("a.example"))));
    }
}

#[tokio::test]
async fn requests_to_a_listed_host_are_repeated_after_delays_that_double() {
    let fixture = CacheFixture::new([]);
    let ask = async || fixture.cache.document(key("idp.example", true), CLIENT).await;
    for pause in [10, 20, 40, 80, 160, 300, 300] {
        let before = fixture.request_count();
        assert_eq!(ask().await, Err(LookupError::Unreachable));
        fixture.advance(pause - 1);
        assert_eq!(ask().await, Err(LookupError::Unreachable));
        assert_eq!(fixture.request_count(), before + 1, "{pause}");
        fixture.advance(1);
    }
}

/// Holds threat 2.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the runtime of a test ends with it")]
async fn concurrent_lookups_of_one_host_send_one_request() {
    let gate = Some(Semaphore::new(0));
    let fixture = CacheFixture::with_gate([document("a.example", None)], gate);
    let callers: Vec<_> = (0..MAX_WAITERS + 10)
        .map(|_| {
            let cache = Arc::clone(&fixture.cache);
            tokio::spawn(async move { cache.document(key("idp.example", true), None).await })
        })
        .collect();
    fixture.fetcher.arrived.notified().await;
    // All callers are waiting before the host responds.
    for _ in 0..2 * MAX_WAITERS {
        tokio::task::yield_now().await;
    }
    fixture.fetcher.gate.as_ref().unwrap().add_permits(1);
    let mut results = Vec::new();
    for caller in callers {
        results.push(caller.await.unwrap());
    }
    let busy = results.iter().filter(|result| **result == Err(LookupError::Busy)).count();
    assert_eq!((busy, fixture.request_count()), (10, 1));
    assert!(results.iter().filter(|result| result.is_ok()).count() == MAX_WAITERS);
}

/// Holds threat 2.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the runtime of a test ends with it")]
async fn concurrent_requests_are_limited_except_to_listed_hosts() {
    let fixture = CacheFixture::with_gate([], Some(Semaphore::new(0)));
    let ask = |host: String, is_listed| {
        let cache = Arc::clone(&fixture.cache);
        tokio::spawn(async move { cache.document(key(&host, is_listed), None).await })
    };
    let slow: Vec<_> = (0..MAX_REQUESTS).map(|n| ask(format!("slow{n}.example"), false)).collect();
    while fixture.request_count() < MAX_REQUESTS {
        tokio::task::yield_now().await;
    }
    assert_eq!(ask("other.example".to_owned(), false).await.unwrap(), Err(LookupError::Busy));
    assert_eq!(fixture.request_count(), MAX_REQUESTS);
    let listed = ask("idp.example".to_owned(), true);
    while fixture.request_count() < MAX_REQUESTS + 1 {
        tokio::task::yield_now().await;
    }
    fixture.fetcher.gate.as_ref().unwrap().add_permits(MAX_REQUESTS + 1);
    assert_eq!(listed.await.unwrap(), Err(LookupError::Unreachable));
    for request in slow {
        assert_eq!(request.await.unwrap(), Err(LookupError::Unreachable));
    }
    // A lookup that found no permit is not cached.
    fixture.fetcher.gate.as_ref().unwrap().add_permits(1);
    assert_eq!(fixture.ask("other.example").await, Err(LookupError::Unreachable));
}

/// Holds threat 2.
#[tokio::test]
async fn a_client_is_limited_to_its_quota_of_requests() {
    let fixture = CacheFixture::new([]);
    let mut busy = 0;
    for n in 0..20 {
        let result = fixture.ask(&format!("host{n}.example")).await;
        busy += usize::from(result == Err(LookupError::Busy));
    }
    assert_eq!((fixture.request_count(), busy), (10, 10));
    // A cached result uses up no quota, and another client has a quota of its own.
    assert_eq!(fixture.ask("host0.example").await, Err(LookupError::Unreachable));
    let other = Some("192.0.2.2".parse().unwrap());
    let before = fixture.request_count();
    fixture.cache.document(key("other.example", false), other).await.unwrap_err();
    assert_eq!(fixture.request_count(), before + 1);
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the runtime of a test ends with it")]
async fn the_result_is_cached_even_if_the_caller_is_dropped() {
    let fixture = CacheFixture::with_gate([document("a.example", None)], Some(Semaphore::new(0)));
    let lookup = {
        let cache = Arc::clone(&fixture.cache);
        tokio::spawn(async move { cache.document(key("idp.example", false), CLIENT).await })
    };
    fixture.fetcher.arrived.notified().await;
    lookup.abort();
    lookup.await.unwrap_err();
    fixture.fetcher.gate.as_ref().unwrap().add_permits(1);
    assert_eq!(fixture.ask("idp.example").await, Ok(Some(delegated_to("a.example"))));
    assert_eq!(fixture.request_count(), 1);
}
