//! The cache of API keys and sessions: what was found is not asked again for a minute, and what has
//! changed is asked again at once.

use std::time::Duration;

use presence_core::Steady;
use presence_core::model::{ApplicationState, CredentialGeneration, Session, UserId};
use presence_protocol::{AppId, Puid};

use super::fixture::{APP, Fixture, HOUR, NOW, session, steady};
use crate::credential_cache::{CredentialCache, FoundGrant, Owner};
use crate::{
    CredentialFigures, DeviceEnd, FoundKey, FoundSession, NewDomain, Notes, SessionLimit,
    StoreError,
};

const KEY: FoundKey = FoundKey { id: 1, app: APP, state: ApplicationState::Active };
const MINUTE: Duration = Duration::from_mins(1);
const INSTANT: Duration = Duration::from_millis(1);

async fn find_key(fixture: &Fixture, now: Steady) -> Option<FoundKey> {
    fixture.store.find_key(("pk_1", [1; 32]), now).await.unwrap()
}

async fn find_session(fixture: &Fixture, n: u8) -> Option<FoundSession> {
    fixture.store.find_session([n; 32], (NOW, steady())).await.unwrap()
}

/// Returns how many credentials were found in the cache and in the database.
fn reads(fixture: &Fixture) -> (u64, u64) {
    let CredentialFigures { from_cache, from_database, .. } = fixture.store.credential_figures();
    (from_cache, from_database)
}

async fn fixture_with_key() -> (Fixture, UserId) {
    let fixture = Fixture::new().await;
    let owner = fixture.user("owner").await;
    fixture.app(APP, owner).await;
    fixture.insert_key(1).await;
    (fixture, owner)
}

#[tokio::test]
async fn a_key_and_a_session_are_asked_of_the_database_once_a_minute() {
    let (fixture, owner) = fixture_with_key().await;
    fixture.insert_session(&session(owner, 1)).await;
    for now in [steady(), steady(), steady() + MINUTE.saturating_sub(INSTANT)] {
        assert_eq!(find_key(&fixture, now).await, Some(KEY));
    }
    assert_eq!(reads(&fixture), (2, 1));
    assert_eq!(find_key(&fixture, steady() + MINUTE).await, Some(KEY));
    assert_eq!(reads(&fixture), (2, 2));
    for _ in 0..2 {
        assert_eq!(find_session(&fixture, 1).await.unwrap().user, owner);
    }
    assert_eq!(reads(&fixture), (3, 3));
    // It has expired meanwhile, though nobody has ended it.
    let later = (NOW + HOUR, steady());
    assert_eq!(fixture.store.find_session([1; 32], later).await.unwrap(), None);
    assert_eq!(reads(&fixture), (4, 3));
}

#[tokio::test]
async fn what_was_not_found_is_asked_again() {
    let (fixture, owner) = fixture_with_key().await;
    assert_eq!(find_session(&fixture, 1).await, None);
    assert_eq!(fixture.store.find_key(("pk_2", [2; 32]), steady()).await.unwrap(), None);
    fixture.insert_session(&session(owner, 1)).await;
    let id = fixture.insert_key(2).await.id;
    assert_eq!(find_session(&fixture, 1).await.unwrap().user, owner);
    let found = fixture.store.find_key(("pk_2", [2; 32]), steady()).await.unwrap();
    assert_eq!(found, Some(FoundKey { id, ..KEY }));
}

/// The ways in which a key or its Application ends.
#[derive(Debug, Clone, Copy)]
enum KeyChange {
    Delete,
    Deactivate,
    Block,
    ChangeDomain,
    Remove,
    EraseOwner,
}

impl KeyChange {
    const ALL: [Self; 6] = [
        Self::Delete,
        Self::Deactivate,
        Self::Block,
        Self::ChangeDomain,
        Self::Remove,
        Self::EraseOwner,
    ];

    async fn make(self, fixture: &Fixture, owner: UserId) {
        let Fixture { store, writer, .. } = fixture;
        let is_done = match self {
            Self::Delete => store.delete_key(APP, KEY.id).await,
            Self::Deactivate => store.set_app_state(APP, ApplicationState::Inactive).await,
            Self::Block => store.set_app_blocked(APP, Some(NOW)).await,
            Self::ChangeDomain => {
                let (domain, domain_key) = ("other.example".to_owned(), "key".to_owned());
                let state = ApplicationState::Registered;
                writer.change_domain(APP, NewDomain { domain, domain_key, state }).await
            }
            Self::Remove => writer.remove_app(APP).await,
            Self::EraseOwner => writer.erase_user(owner).await.map(|_| true),
        };
        assert!(is_done.unwrap(), "{self:?}");
    }
}

#[tokio::test]
async fn a_key_that_ends_or_whose_application_stops_is_refused_at_once() {
    for change in KeyChange::ALL {
        let (fixture, owner) = fixture_with_key().await;
        assert_eq!(find_key(&fixture, steady()).await, Some(KEY));
        change.make(&fixture, owner).await;
        let found = find_key(&fixture, steady()).await;
        assert!(found.is_none_or(|key| key.state != ApplicationState::Active), "{change:?}");
    }
}

/// The ways in which a session ends.
#[derive(Debug, Clone, Copy)]
enum SessionChange {
    End,
    EndAll,
    Exceed,
    EndDevice,
    RaiseGeneration,
    EraseUser,
}

impl SessionChange {
    const ALL: [Self; 6] = [
        Self::End,
        Self::EndAll,
        Self::Exceed,
        Self::EndDevice,
        Self::RaiseGeneration,
        Self::EraseUser,
    ];

    /// Ends the first session of a user.
    async fn make(self, fixture: &Fixture, user: UserId) {
        let Fixture { store, writer, .. } = fixture;
        let result: Result<(), StoreError> = match self {
            Self::End => store.delete_sessions(user, &[[1; 32]]).await.map(drop),
            Self::EndAll => store.delete_sessions_of(user).await.map(drop),
            Self::Exceed => {
                let limit = SessionLimit { max: 1, last_use: &|_| None };
                store.insert_session(&session(user, 2), limit).await.map(drop)
            }
            Self::EndDevice => {
                let end = DeviceEnd {
                    user,
                    device: "phone".parse().unwrap(),
                    kept_session: None,
                    sessions: vec![[1; 32]],
                    assertions: Vec::new(),
                };
                store.end_device(&end).await
            }
            Self::RaiseGeneration => store.record_generation(user, &generation(2)).await.map(drop),
            Self::EraseUser => writer.erase_user(user).await.map(drop),
        };
        result.unwrap();
    }
}

fn generation(number: u64) -> CredentialGeneration {
    CredentialGeneration { issuer: "mail.example".into(), number }
}

#[tokio::test]
async fn a_session_that_ends_is_refused_at_once() {
    for change in SessionChange::ALL {
        let fixture = Fixture::new().await;
        let user = fixture.user("alice").await;
        let first = Session { generation: Some(generation(1)), ..session(user, 1) };
        fixture.insert_session(&first).await;
        assert_eq!(find_session(&fixture, 1).await.unwrap().user, user);
        change.make(&fixture, user).await;
        assert_eq!(find_session(&fixture, 1).await, None, "{change:?}");
    }
}

#[tokio::test]
async fn a_read_that_began_before_a_change_does_not_bring_the_old_credential_back() {
    let cache = CredentialCache::new(10, false);
    let during_a_change = async {
        cache.forget(Owner::App(APP));
        Ok(Some(KEY))
    };
    cache.find([1; 32], steady(), during_a_change).await.unwrap();
    let found = cache.find::<FoundKey>([1; 32], steady(), async { Ok(None) }).await.unwrap();
    assert_eq!(found, None);
}

#[tokio::test]
async fn a_key_whose_application_is_not_active_is_asked_again() {
    let cache = CredentialCache::new(10, false);
    for state in [ApplicationState::Inactive, ApplicationState::Registered] {
        let read = async { Ok(Some(FoundKey { state, ..KEY })) };
        assert_eq!(cache.find([1; 32], steady(), read).await.unwrap().unwrap().state, state);
        assert!(!is_cached(&cache, steady()).await, "{state:?}");
    }
}

/// Returns true if the key is found without a read.
async fn is_cached(cache: &CredentialCache, now: Steady) -> bool {
    cache.find::<FoundKey>([1; 32], now, async { Ok(None) }).await.unwrap().is_some()
}

#[tokio::test]
async fn where_others_change_the_database_too_only_what_they_have_told_lately_counts() {
    let cache = CredentialCache::new(10, true);
    let put = || cache.find([1; 32], steady(), async { Ok(Some(KEY)) });
    put().await.unwrap();
    assert!(!is_cached(&cache, steady()).await, "nothing was told yet");
    let none = Notes::default();
    cache.take_in(&none, steady());
    assert!(is_cached(&cache, steady() + Duration::from_millis(4_999)).await);
    assert!(!is_cached(&cache, steady() + Duration::from_secs(5)).await);
    let other = Notes { apps: vec![AppId::from_bits(0xb)], ..Notes::default() };
    cache.take_in(&other, steady());
    assert!(is_cached(&cache, steady()).await, "another Application has changed");
    cache.take_in(&Notes { apps: vec![APP], ..Notes::default() }, steady());
    assert!(!is_cached(&cache, steady()).await);
    put().await.unwrap();
    assert!(is_cached(&cache, steady()).await);
    cache.doubt();
    cache.take_in(&none, steady());
    assert!(!is_cached(&cache, steady()).await, "something may have been missed");
}

#[tokio::test]
async fn the_cache_has_a_bound() {
    let cache = CredentialCache::new(10, false);
    for n in 0..=u8::MAX {
        cache.find([n; 32], steady(), async { Ok(Some(KEY)) }).await.unwrap();
    }
    assert!(cache.settled_figures().entries <= 10);
    let none = CredentialCache::new(0, false);
    none.find([1; 32], steady(), async { Ok(Some(KEY)) }).await.unwrap();
    assert!(!is_cached(&none, steady()).await);
}

/// The ways in which a grant ends.
#[derive(Debug, Clone, Copy)]
enum GrantEnd {
    Revoke,
    WaitTooLong,
    RemoveApp,
    EraseUser,
    EraseOwner,
}

impl GrantEnd {
    const ALL: [Self; 5] =
        [Self::Revoke, Self::WaitTooLong, Self::RemoveApp, Self::EraseUser, Self::EraseOwner];

    async fn make(self, fixture: &Fixture, user: UserId) {
        let writer = &fixture.writer;
        let is_done = match self {
            Self::Revoke => writer.revoke(user, APP).await.map(|grant| grant.is_some()),
            Self::WaitTooLong => {
                fixture.sql("UPDATE grants SET waiting_since = 1").await;
                writer.revoke_waiting().await.map(|ended| ended == 1)
            }
            Self::RemoveApp => writer.remove_app(APP).await,
            Self::EraseUser => writer.erase_user(user).await,
            Self::EraseOwner => writer.erase_user(fixture.user("owner").await).await,
        };
        assert!(is_done.unwrap(), "{self:?}");
    }
}

#[tokio::test]
async fn a_grant_that_ends_is_unknown_at_once() {
    for end in GrantEnd::ALL {
        let fixture = Fixture::new().await;
        let (user, puid) = fixture.user_with_grant("alice", 1).await;
        let live = async || fixture.store.live_puids(APP, &[puid]).await.unwrap();
        assert_eq!(live().await, [puid]);
        assert!(fixture.store.credentials().has_grant(APP, puid), "it is cached");
        assert_eq!(live().await, [puid]);
        end.make(&fixture, user).await;
        assert_eq!(live().await, [], "{end:?}");
    }
}

#[tokio::test]
async fn a_cached_grant_is_that_of_one_application_only() {
    let fixture = Fixture::new().await;
    let (_, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.store.live_puids(APP, &[puid]).await.unwrap();
    let other = AppId::from_bits(0xb);
    assert_eq!(fixture.store.live_puids(other, &[puid]).await.unwrap(), []);
}

#[tokio::test]
async fn a_grant_that_was_read_before_it_ended_is_not_used() {
    let (user, puid) = (UserId(1), Puid::from_bits(1));
    let cache = CredentialCache::new(10, false);
    let mark = cache.mark();
    cache.forget(Owner::User(user));
    cache.add_grants(APP, &[FoundGrant { puid, user }], mark);
    assert!(!cache.has_grant(APP, puid));
    cache.add_grants(APP, &[FoundGrant { puid, user }], cache.mark());
    assert!(cache.has_grant(APP, puid));
    let shared = CredentialCache::new(10, true);
    shared.add_grants(APP, &[FoundGrant { puid, user }], shared.mark());
    assert!(!shared.has_grant(APP, puid), "other servers may end it");
}
