//! Users, Applications, keys, sessions, and reads of grants.

use std::time::Duration;

use presence_core::UnixMillis;
use presence_core::model::{ApplicationState, Email, Scope, Session};
use presence_protocol::{AppId, Puid};
use sea_orm::{ConnectionTrait, Statement};
use tokio::task::JoinSet;

use super::fixture::{APP, DOMAIN, Fixture, HOUR, NOW, app, item, session, steady};
use crate::{AppChanges, NewDomain, NewNotification, SessionLimit, UsedThing};

#[tokio::test]
async fn an_e_mail_is_one_user() {
    let fixture = Fixture::new().await;
    let email = Email::parse("alice@b.example").unwrap();
    assert_eq!(fixture.store.find_user(&email).await.unwrap(), None);
    let alice = fixture.user("alice").await;
    assert_eq!(fixture.user("alice").await, alice);
    assert_ne!(fixture.user("bob").await, alice);
    assert_eq!(fixture.store.email_of(alice).await.unwrap(), Some(email));
}

#[tokio::test]
async fn two_concurrent_sign_ins_create_one_user() {
    let fixture = Fixture::new().await;
    let (one, other) = tokio::join!(fixture.user("alice"), fixture.user("alice"));
    assert_eq!(one, other);
}

#[tokio::test]
async fn an_application_is_found_as_it_was_registered() {
    let fixture = Fixture::new().await;
    let owner = fixture.user("owner").await;
    fixture.app(APP, owner).await;
    assert_eq!(fixture.store.app(APP).await.unwrap(), Some(app(APP, owner)));
    assert_eq!(fixture.store.apps_of(owner).await.unwrap(), [app(APP, owner)]);
}

#[tokio::test]
async fn an_update_changes_only_the_given_values() {
    let fixture = Fixture::new().await;
    let owner = fixture.user("owner").await;
    fixture.app(APP, owner).await;
    let name = AppChanges { name: Some("Go".to_owned()), ..AppChanges::default() };
    let changed = fixture.store.update_app(APP, name, NOW).await.unwrap().unwrap();
    assert_eq!((changed.name.as_str(), changed.state), ("Go", ApplicationState::Active));

    let domain = NewDomain {
        domain: "go.example".to_owned(),
        domain_key: "new".to_owned(),
        state: ApplicationState::Registered,
    };
    assert!(fixture.writer.change_domain(APP, domain.clone()).await.unwrap());
    assert!(!fixture.writer.change_domain(AppId::from_bits(9), domain).await.unwrap());
    let changed = fixture.store.app(APP).await.unwrap().unwrap();
    assert_eq!((changed.domain.as_str(), changed.domain_key.as_str()), ("go.example", "new"));
    assert_eq!((changed.name.as_str(), changed.state), ("Go", ApplicationState::Registered));

    let nothing = fixture.store.update_app(APP, AppChanges::default(), NOW).await.unwrap();
    assert_eq!(nothing, Some(changed));
    assert_eq!(
        fixture.store.update_app(AppId::from_bits(9), AppChanges::default(), NOW).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn a_domain_is_verified_only_by_the_key_it_has_now() {
    let fixture = Fixture::new().await;
    let owner = fixture.user("owner").await;
    fixture.app(APP, owner).await;
    assert!(fixture.store.set_app_state(APP, ApplicationState::Registered).await.unwrap());
    assert!(!fixture.store.mark_verified(APP, "older").await.unwrap());
    assert!(fixture.store.mark_verified(APP, "key").await.unwrap());
    assert_eq!(fixture.store.app(APP).await.unwrap().unwrap().state, ApplicationState::Verified);
    assert!(
        !fixture.store.set_app_state(AppId::from_bits(9), ApplicationState::Active).await.unwrap()
    );
}

#[tokio::test]
async fn a_blocked_application_is_inactive_until_the_block_ends() {
    let fixture = Fixture::new().await;
    let owner = fixture.user("owner").await;
    fixture.app(APP, owner).await;
    fixture.writer.grant(owner, (APP, DOMAIN), Puid::from_bits(1), NOW).await.unwrap().unwrap();
    assert!(fixture.store.set_app_blocked(APP, Some(NOW)).await.unwrap());
    let app = fixture.store.app(APP).await.unwrap().unwrap();
    assert_eq!((app.state, app.blocked_at), (ApplicationState::Inactive, Some(NOW)));
    let granted = fixture.store.granted_apps(owner).await.unwrap();
    assert_eq!(granted[0].state, ApplicationState::Inactive);
    let loaded = fixture.writer.load(owner).await.unwrap();
    assert_eq!(loaded.apps, [(APP, ApplicationState::Inactive)]);
    assert!(fixture.store.set_app_blocked(APP, None).await.unwrap());
    assert_eq!(fixture.store.app(APP).await.unwrap().unwrap().state, ApplicationState::Active);
    assert!(!fixture.store.set_app_blocked(AppId::from_bits(9), Some(NOW)).await.unwrap());
}

#[tokio::test]
async fn applications_are_found_by_id_name_and_domain_and_no_character_is_a_wildcard() {
    let fixture = Fixture::new().await;
    let owner = fixture.user("owner").await;
    fixture.app(APP, owner).await;
    let found = async |text: &str| fixture.store.find_apps(text, 10).await.unwrap().len();
    for text in [&*APP.to_string(), "hes", "CHESS", "chess.exam", "s.e", ""] {
        assert_eq!(found(text).await, 1, "{text}");
    }
    for text in ["go", "c%s", "c_ess", "\\", "key", "Play", &APP.to_string()[1..]] {
        assert_eq!(found(text).await, 0, "{text}");
    }
    assert!(fixture.store.find_apps("chess", 0).await.unwrap().is_empty());
}

#[tokio::test]
async fn grants_of_an_application_are_counted() {
    let fixture = Fixture::new().await;
    let owner = fixture.user("owner").await;
    fixture.app(APP, owner).await;
    assert_eq!(fixture.store.count_grants_of(APP).await.unwrap(), 0);
    for (bits, name) in (1..).zip(["alice", "bob"]) {
        let user = fixture.user(name).await;
        fixture
            .writer
            .grant(user, (APP, DOMAIN), Puid::from_bits(bits), NOW)
            .await
            .unwrap()
            .unwrap();
    }
    assert_eq!(fixture.store.count_grants_of(APP).await.unwrap(), 2);
}

#[tokio::test]
async fn the_last_uses_of_keys_sessions_and_applications_are_recorded_and_never_go_back() {
    let fixture = Fixture::new().await;
    let owner = fixture.user("owner").await;
    fixture.app(APP, owner).await;
    fixture.insert_session(&session(owner, 1)).await;
    let key = fixture.insert_key(1).await;
    let things = [UsedThing::App(APP), UsedThing::Key(key.id), UsedThing::Session([1; 32])];
    for (at, recorded) in [(5_010, 5_000), (60_000, 60_000), (7_000, 60_000)] {
        let recent = things.map(|thing| (thing, NOW + Duration::from_millis(at)));
        fixture.store.record_uses(&recent).await.unwrap();
        let recorded = Some(NOW + Duration::from_millis(recorded));
        assert_eq!(fixture.store.app(APP).await.unwrap().unwrap().last_looked_at, recorded);
        assert_eq!(fixture.store.keys_of(APP).await.unwrap()[0].last_used_at, recorded);
        let select = "SELECT last_used_at FROM sessions";
        let read = fixture.store.read();
        let select = Statement::from_string(read.get_database_backend(), select);
        let row = read.query_one_raw(select).await.unwrap().unwrap();
        let of_session: i64 = row.try_get_by_index(0).unwrap();
        let of_session = UnixMillis::new(of_session.try_into().unwrap());
        assert_eq!(Some(of_session), recorded);
    }
}

#[tokio::test]
async fn the_limits_of_applications_and_keys_hold_for_requests_at_the_same_time() {
    let fixture = Fixture::new().await;
    let owner = fixture.user("owner").await;
    let insert = |n: u128| {
        let (store, app) = (fixture.store.clone(), app(AppId::from_bits(n), owner));
        async move { store.insert_app(&app, 5).await.unwrap() }
    };
    let inserted: JoinSet<bool> = (1..=40).map(insert).collect();
    assert_eq!(inserted.join_all().await.into_iter().filter(|inserted| *inserted).count(), 5);
    let apps = fixture.store.apps_of(owner).await.unwrap();
    assert_eq!(apps.len(), 5);
    let insert = |n: u8| {
        let (store, app) = (fixture.store.clone(), apps[0].id);
        async move { store.insert_key(app, ("pk", [n; 32]), NOW, 3).await.unwrap().is_some() }
    };
    let inserted: JoinSet<bool> = (1..=40).map(insert).collect();
    assert_eq!(inserted.join_all().await.into_iter().filter(|inserted| *inserted).count(), 3);
}

#[tokio::test]
async fn one_more_session_than_allowed_ends_the_one_that_was_unused_for_the_longest_time() {
    let fixture = Fixture::new().await;
    let (alice, bob) = (fixture.user("alice").await, fixture.user("bob").await);
    let after = |seconds| NOW + Duration::from_secs(seconds);
    fixture.insert_session(&session(bob, 9)).await;
    for n in 1..=3 {
        fixture.insert_session(&session(alice, n)).await;
        let used = UsedThing::Session([n; 32]);
        fixture.store.record_uses(&[(used, after(u64::from(n)))]).await.unwrap();
    }
    // A use that is not recorded yet counts as well.
    let last_use = |digest: &[u8; 32]| (*digest == [1; 32]).then(|| after(9));
    let limit = SessionLimit { max: 3, last_use: &last_use };
    let ended = fixture.store.insert_session(&session(alice, 4), limit).await.unwrap();
    assert_eq!(ended, [[2; 32]]);
    // The fourth one was never used, and all were created at the same time.
    let ended = fixture.store.insert_session(&session(alice, 5), limit).await.unwrap();
    assert_eq!(ended, [[4; 32]]);
    let limit = SessionLimit { max: 1, ..limit };
    let ended = fixture.store.insert_session(&session(alice, 6), limit).await.unwrap();
    assert_eq!(ended, [[5; 32], [3; 32], [1; 32]]);
    assert!(fixture.session([6; 32], NOW).await.unwrap().is_some());
    assert!(fixture.session([9; 32], NOW).await.unwrap().is_some(), "of another user");
}

#[tokio::test]
async fn a_key_is_found_by_its_prefix_and_deleted_by_its_application_only() {
    let fixture = Fixture::new().await;
    let owner = fixture.user("owner").await;
    fixture.app(APP, owner).await;
    let one = fixture.insert_key(1).await;
    let two = fixture.insert_key(2).await;
    let find = async |prefix: &str, digest: u8| {
        let credential = (prefix, [digest; 32]);
        fixture.store.find_key(credential, steady()).await.unwrap().map(|found| found.id)
    };
    assert_eq!(find("pk_2", 2).await, Some(two.id));
    assert_eq!(find("pk_2", 1).await, None, "the digest of another key");
    assert_eq!(fixture.store.keys_of(APP).await.unwrap(), [one.clone(), two]);
    assert!(!fixture.store.delete_key(AppId::from_bits(9), one.id).await.unwrap());
    assert!(fixture.store.delete_key(APP, one.id).await.unwrap());
    assert!(!fixture.store.delete_key(APP, one.id).await.unwrap());
    assert_eq!(find("pk_1", 1).await, None);
}

#[tokio::test]
async fn concurrent_session_lookups_return_each_session_with_its_user() {
    let fixture = Fixture::new().await;
    let mut sessions = Vec::new();
    for (n, name) in (1..).zip(["alice", "bob", "carol"]) {
        let session = session(fixture.user(name).await, n);
        fixture.insert_session(&session).await;
        let email = Email::parse(&format!("{name}@b.example")).unwrap();
        sessions.push((session, email));
    }
    let over = Session { digest: [9; 32], expires_at: NOW, ..sessions[0].0.clone() };
    fixture.insert_session(&over).await;
    let find = async |n: u8| fixture.store.session_with_email([n; 32], NOW).await.unwrap();
    let (one, two, three) = tokio::join!(find(1), find(2), find(3));
    let (again, over, unknown) = tokio::join!(find(2), find(9), find(7));
    let found = [one, two, three, again, over, unknown];
    let [alice, bob, carol] = [0, 1, 2].map(|place| Some(sessions[place].clone()));
    assert_eq!(found, [alice, bob.clone(), carol, bob, None, None]);
}

#[tokio::test]
async fn a_session_ends_by_expiry_by_deletion_or_with_all_of_its_user() {
    let fixture = Fixture::new().await;
    let user = fixture.user("alice").await;
    let session = |n: u8| Session { scope: Scope::Account, ..session(user, n) };
    for n in 1..=3 {
        fixture.insert_session(&session(n)).await;
    }
    assert_eq!(fixture.session([1; 32], NOW).await.unwrap(), Some(session(1)));
    assert_eq!(fixture.session([1; 32], NOW + HOUR).await.unwrap(), None);
    assert!(fixture.store.delete_new_session(&[1; 32]).await.unwrap());
    assert!(!fixture.store.delete_new_session(&[1; 32]).await.unwrap());
    assert_eq!(fixture.store.delete_sessions_of(user).await.unwrap(), 2);
    assert_eq!(fixture.session([2; 32], NOW).await.unwrap(), None);
}

#[tokio::test]
async fn the_live_puids_of_an_application_are_found_and_paged() {
    let fixture = Fixture::new().await;
    for n in 1..=5 {
        fixture.user_with_grant(&format!("user{n}"), n).await;
    }
    fixture.writer.pause(fixture.user("user2").await, APP, true).await.unwrap();
    let puid = Puid::from_bits;
    let mut live = fixture.store.live_puids(APP, &[puid(2), puid(5), puid(9)]).await.unwrap();
    live.sort_unstable();
    assert_eq!(live, [puid(2), puid(5)]);
    assert!(fixture.store.live_puids(AppId::from_bits(9), &[puid(2)]).await.unwrap().is_empty());
    assert_eq!(fixture.store.page_of_puids(APP, None, 2).await.unwrap(), [puid(1), puid(2)]);
    let rest = fixture.store.page_of_puids(APP, Some(puid(2)), 9).await.unwrap();
    assert_eq!(rest, [puid(3), puid(4), puid(5)]);
}

#[tokio::test]
async fn a_user_sees_all_grants_and_all_stored_data() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    let own = AppId::from_bits(0xb);
    fixture.app(own, alice).await;
    fixture.queue(1, puid).await;
    fixture.store.record_uses(&[(UsedThing::App(APP), NOW)]).await.unwrap();
    let grants = fixture.store.granted_apps(alice).await.unwrap();
    assert_eq!(grants.len(), 1);
    assert_eq!((grants[0].grant.puid, grants[0].name.as_str()), (puid, "Chess"));
    assert_eq!(grants[0].last_looked_at, Some(NOW));
    assert_eq!(fixture.store.grant(alice, APP).await.unwrap(), Some(grants[0].grant));

    let account = fixture.store.account(alice, NOW).await.unwrap().unwrap();
    assert_eq!(account.email.as_str(), "alice@b.example");
    assert_eq!((account.sessions, account.created_at), (0, NOW));
    assert_eq!(account.grants, grants);
    assert_eq!(account.apps, [app(own, alice)]);
    assert_eq!(account.notifications.len(), 1);
}

#[tokio::test]
async fn a_purge_deletes_expired_rows_and_nothing_else() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    for (n, expires_at) in [(1, NOW + HOUR), (2, NOW + 48 * HOUR)] {
        let session = Session { expires_at, ..session(alice, n) };
        fixture.insert_session(&session).await;
    }
    let keyed = NewNotification { idempotency_key: Some("k".to_owned()), ..item(1, puid) };
    fixture.notify(vec![keyed]).await[0].as_ref().unwrap();
    assert_eq!(fixture.store.purge(NOW).await.unwrap(), 0);
    assert_eq!(fixture.store.purge(NOW + 24 * HOUR).await.unwrap(), 2);
    assert_eq!(fixture.store.purge(NOW + 24 * HOUR).await.unwrap(), 0);
    assert!(fixture.session([2; 32], NOW + 24 * HOUR).await.unwrap().is_some());
}
