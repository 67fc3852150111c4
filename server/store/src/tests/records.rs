//! Users, Applications, keys, sessions, and grants as they are read.

use std::time::Duration;

use presence_core::model::{ApplicationState, Email, Scope, Session};
use presence_protocol::{AppId, Puid};

use super::house::{APP, HOUR, House, NOW, app, item};
use crate::{AppChanges, NewDomain, NewNotification};

#[tokio::test]
async fn an_e_mail_is_one_user() {
    let house = House::new().await;
    let email = Email::parse("alice@b.example").unwrap();
    assert_eq!(house.store.find_user(&email).await.unwrap(), None);
    let alice = house.user("alice").await;
    assert_eq!(house.user("alice").await, alice);
    assert_ne!(house.user("bob").await, alice);
    assert_eq!(house.store.email_of(alice).await.unwrap(), Some(email));
}

#[tokio::test]
async fn two_that_sign_in_at_once_become_one_user() {
    let house = House::new().await;
    let (one, other) = tokio::join!(house.user("alice"), house.user("alice"));
    assert_eq!(one, other);
}

#[tokio::test]
async fn an_application_is_found_as_it_was_registered() {
    let house = House::new().await;
    let owner = house.user("owner").await;
    house.app(APP, owner).await;
    assert_eq!(house.store.app(APP).await.unwrap(), Some(app(APP, owner)));
    assert_eq!(house.store.apps_of(owner).await.unwrap(), [app(APP, owner)]);
    assert_eq!(house.store.count_apps_of(owner).await.unwrap(), 1);
    assert_eq!(house.store.count_apps_of(house.user("alice").await).await.unwrap(), 0);
}

#[tokio::test]
async fn only_what_is_named_of_an_application_changes() {
    let house = House::new().await;
    let owner = house.user("owner").await;
    house.app(APP, owner).await;
    let name = AppChanges { name: Some("Go".to_owned()), ..AppChanges::default() };
    let changed = house.store.update_app(APP, name).await.unwrap().unwrap();
    assert_eq!((changed.name.as_str(), changed.state), ("Go", ApplicationState::Active));

    let domain = NewDomain {
        domain: "go.example".to_owned(),
        domain_key: "new".to_owned(),
        state: ApplicationState::Registered,
    };
    let domain = AppChanges { domain: Some(domain), ..AppChanges::default() };
    let changed = house.store.update_app(APP, domain).await.unwrap().unwrap();
    assert_eq!((changed.domain.as_str(), changed.domain_key.as_str()), ("go.example", "new"));
    assert_eq!((changed.name.as_str(), changed.state), ("Go", ApplicationState::Registered));

    let nothing = house.store.update_app(APP, AppChanges::default()).await.unwrap();
    assert_eq!(nothing, Some(changed));
    assert_eq!(
        house.store.update_app(AppId::from_bits(9), AppChanges::default()).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn a_domain_is_verified_only_by_the_key_it_has_now() {
    let house = House::new().await;
    let owner = house.user("owner").await;
    house.app(APP, owner).await;
    assert!(house.store.set_app_state(APP, ApplicationState::Registered).await.unwrap());
    assert!(!house.store.mark_verified(APP, "older").await.unwrap());
    assert!(house.store.mark_verified(APP, "key").await.unwrap());
    assert_eq!(house.store.app(APP).await.unwrap().unwrap().state, ApplicationState::Verified);
    assert!(
        !house.store.set_app_state(AppId::from_bits(9), ApplicationState::Active).await.unwrap()
    );
}

#[tokio::test]
async fn a_blocked_application_is_inactive_and_is_then_what_it_was() {
    let house = House::new().await;
    let owner = house.user("owner").await;
    house.app(APP, owner).await;
    house.writer.grant(owner, APP, Puid::from_bits(1), NOW).await.unwrap();
    assert!(house.store.set_app_blocked(APP, Some(NOW)).await.unwrap());
    let app = house.store.app(APP).await.unwrap().unwrap();
    assert_eq!((app.state, app.blocked_at), (ApplicationState::Inactive, Some(NOW)));
    let granted = house.store.granted_apps(owner).await.unwrap();
    assert_eq!(granted[0].state, ApplicationState::Inactive);
    let loaded = house.writer.load(owner).await.unwrap();
    assert_eq!(loaded.apps, [(APP, ApplicationState::Inactive)]);
    assert!(house.store.set_app_blocked(APP, None).await.unwrap());
    assert_eq!(house.store.app(APP).await.unwrap().unwrap().state, ApplicationState::Active);
    assert!(!house.store.set_app_blocked(AppId::from_bits(9), Some(NOW)).await.unwrap());
}

#[tokio::test]
async fn applications_are_found_by_id_name_and_domain_and_no_letter_is_a_wildcard() {
    let house = House::new().await;
    let owner = house.user("owner").await;
    house.app(APP, owner).await;
    let found = async |text: &str| house.store.find_apps(text, 10).await.unwrap().len();
    for text in [&*APP.to_string(), "hes", "CHESS", "chess.exam", "s.e", ""] {
        assert_eq!(found(text).await, 1, "{text}");
    }
    for text in ["go", "c%s", "c_ess", "\\", "key", "Play", &APP.to_string()[1..]] {
        assert_eq!(found(text).await, 0, "{text}");
    }
    assert!(house.store.find_apps("chess", 0).await.unwrap().is_empty());
}

#[tokio::test]
async fn grants_of_an_application_are_counted() {
    let house = House::new().await;
    let owner = house.user("owner").await;
    house.app(APP, owner).await;
    assert_eq!(house.store.count_grants_of(APP).await.unwrap(), 0);
    for (bits, name) in (1..).zip(["alice", "bob"]) {
        let user = house.user(name).await;
        house.writer.grant(user, APP, Puid::from_bits(bits), NOW).await.unwrap();
    }
    assert_eq!(house.store.count_grants_of(APP).await.unwrap(), 2);
}

#[tokio::test]
async fn looks_and_uses_are_noted_to_the_minute() {
    let house = House::new().await;
    let owner = house.user("owner").await;
    house.app(APP, owner).await;
    let key = house.store.insert_key(APP, "pk_1", [1; 32], NOW).await.unwrap();
    for (at, noted) in [(0, 0), (59_999, 0), (60_000, 60_000)] {
        house.store.touch_app(APP, NOW + Duration::from_millis(at)).await.unwrap();
        house.store.touch_key(key.id, NOW + Duration::from_millis(at)).await.unwrap();
        let app = house.store.app(APP).await.unwrap().unwrap();
        assert_eq!(app.last_looked_at, Some(NOW + Duration::from_millis(noted)));
        let keys = house.store.keys_of(APP).await.unwrap();
        assert_eq!(keys[0].last_used_at, Some(NOW + Duration::from_millis(noted)));
    }
}

#[tokio::test]
async fn a_key_is_found_by_its_prefix_and_deleted_by_its_application_only() {
    let house = House::new().await;
    let owner = house.user("owner").await;
    house.app(APP, owner).await;
    let one = house.store.insert_key(APP, "pk_1", [1; 32], NOW).await.unwrap();
    let two = house.store.insert_key(APP, "pk_2", [2; 32], NOW).await.unwrap();
    assert_eq!(house.store.keys_by_prefix("pk_2").await.unwrap(), std::slice::from_ref(&two));
    assert_eq!(house.store.keys_of(APP).await.unwrap(), [one.clone(), two]);
    assert!(!house.store.delete_key(AppId::from_bits(9), one.id).await.unwrap());
    assert!(house.store.delete_key(APP, one.id).await.unwrap());
    assert!(!house.store.delete_key(APP, one.id).await.unwrap());
    assert!(house.store.keys_by_prefix("pk_1").await.unwrap().is_empty());
}

#[tokio::test]
async fn the_sessions_of_many_devices_are_found_at_once_each_with_its_user() {
    let house = House::new().await;
    let mut sessions = Vec::new();
    for (n, name) in (1..).zip(["alice", "bob", "carol"]) {
        let (user, digest) = (house.user(name).await, [n; 32]);
        let session = Session {
            digest,
            user,
            scope: Scope::Device,
            created_at: NOW,
            expires_at: NOW + HOUR,
            generation: None,
        };
        house.store.insert_session(&session).await.unwrap();
        let email = Email::parse(&format!("{name}@b.example")).unwrap();
        sessions.push((session, email));
    }
    let over = Session { digest: [9; 32], expires_at: NOW, ..sessions[0].0.clone() };
    house.store.insert_session(&over).await.unwrap();
    let find = async |n: u8| house.store.session_with_email([n; 32], NOW).await.unwrap();
    let (one, two, three) = tokio::join!(find(1), find(2), find(3));
    let (again, over, unknown) = tokio::join!(find(2), find(9), find(7));
    let found = [one, two, three, again, over, unknown];
    let [alice, bob, carol] = [0, 1, 2].map(|place| Some(sessions[place].clone()));
    assert_eq!(found, [alice, bob.clone(), carol, bob, None, None]);
}

#[tokio::test]
async fn a_session_ends_by_its_time_by_itself_or_with_all_of_its_user() {
    let house = House::new().await;
    let user = house.user("alice").await;
    let session = |n: u8| Session {
        digest: [n; 32],
        user,
        scope: Scope::Account,
        created_at: NOW,
        expires_at: NOW + HOUR,
        generation: None,
    };
    for n in 1..=3 {
        house.store.insert_session(&session(n)).await.unwrap();
    }
    assert_eq!(house.store.session(&[1; 32], NOW).await.unwrap(), Some(session(1)));
    assert_eq!(house.store.session(&[1; 32], NOW + HOUR).await.unwrap(), None);
    assert!(house.store.delete_session(&[1; 32]).await.unwrap());
    assert!(!house.store.delete_session(&[1; 32]).await.unwrap());
    assert_eq!(house.store.delete_sessions_of(user).await.unwrap(), 2);
    assert_eq!(house.store.session(&[2; 32], NOW).await.unwrap(), None);
}

#[tokio::test]
async fn the_live_puids_of_an_application_are_found_and_paged() {
    let house = House::new().await;
    for n in 1..=5 {
        house.granted(&format!("user{n}"), n).await;
    }
    house.writer.pause(house.user("user2").await, APP, true).await.unwrap();
    let puid = Puid::from_bits;
    let mut live = house.store.live_puids(APP, &[puid(2), puid(5), puid(9)]).await.unwrap();
    live.sort_unstable();
    assert_eq!(live, [puid(2), puid(5)]);
    assert!(house.store.live_puids(AppId::from_bits(9), &[puid(2)]).await.unwrap().is_empty());
    assert_eq!(house.store.page_of_puids(APP, None, 2).await.unwrap(), [puid(1), puid(2)]);
    let rest = house.store.page_of_puids(APP, Some(puid(2)), 9).await.unwrap();
    assert_eq!(rest, [puid(3), puid(4), puid(5)]);
}

#[tokio::test]
async fn a_user_sees_what_was_granted_and_everything_held() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    let own = AppId::from_bits(0xb);
    house.app(own, alice).await;
    house.queue(1, puid).await;
    house.store.touch_app(APP, NOW).await.unwrap();
    let grants = house.store.granted_apps(alice).await.unwrap();
    assert_eq!(grants.len(), 1);
    assert_eq!((grants[0].grant.puid, grants[0].name.as_str()), (puid, "Chess"));
    assert_eq!(grants[0].last_looked_at, Some(NOW));
    assert_eq!(house.store.grant(alice, APP).await.unwrap(), Some(grants[0].grant));

    let account = house.store.account(alice).await.unwrap().unwrap();
    assert_eq!(account.email.as_str(), "alice@b.example");
    assert_eq!((account.sessions, account.created_at), (0, NOW));
    assert_eq!(account.grants, grants);
    assert_eq!(account.apps, [app(own, alice)]);
    assert_eq!(account.notifications.len(), 1);
}

#[tokio::test]
async fn a_purge_forgets_what_expired_and_nothing_else() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    for (n, expires_at) in [(1, NOW + HOUR), (2, NOW + 48 * HOUR)] {
        let session = Session {
            digest: [n; 32],
            user: alice,
            scope: Scope::Device,
            created_at: NOW,
            expires_at,
            generation: None,
        };
        house.store.insert_session(&session).await.unwrap();
    }
    let keyed = NewNotification { idempotency_key: Some("k".to_owned()), ..item(1, puid) };
    house.notify(vec![keyed]).await[0].as_ref().unwrap();
    assert_eq!(house.store.purge(NOW).await.unwrap(), 0);
    assert_eq!(house.store.purge(NOW + 24 * HOUR).await.unwrap(), 2);
    assert_eq!(house.store.purge(NOW + 24 * HOUR).await.unwrap(), 0);
    assert!(house.store.session(&[2; 32], NOW + 24 * HOUR).await.unwrap().is_some());
}
