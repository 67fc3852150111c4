//! Grants, and the changes that end them.

use std::time::Duration;

use presence_core::model::{ApplicationState, Email, Grant, Settlement, UserId};
use presence_protocol::app::ReceiptState::{Expired, Revoked};
use presence_protocol::{AppId, Puid};

use super::fixture::{APP, DOMAIN, Fixture, HOUR, NOW, TestVisibility, id, item, receipt, steady};
use crate::{CommittedEvent, GrantError, GrantOutcome, NotifyError};

#[tokio::test]
async fn a_repeated_grant_returns_the_same_puid_and_changes_nothing() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.writer.pause(alice, APP, true).await.unwrap();
    fixture.take_events();
    let again = fixture.writer.grant(alice, (APP, DOMAIN), Puid::from_bits(2), NOW).await.unwrap();
    assert_eq!(again, Ok(GrantOutcome { puid, new: false }));
    assert!(fixture.take_events().is_empty());
    assert!(fixture.load(alice).await.grants.grants[0].paused);
}

#[tokio::test]
async fn a_grant_is_published_with_the_whole_set_and_a_greater_revision() {
    let fixture = Fixture::new().await;
    let (alice, _) = fixture.user_with_grant("alice", 1).await;
    let before = fixture.load(alice).await.grants;
    let other = AppId::from_bits(0xb);
    fixture.app(other, alice).await;
    let puid = Puid::from_bits(2);
    let granted = fixture
        .writer
        .grant(alice, (other, DOMAIN), puid, NOW + Duration::from_millis(1))
        .await
        .unwrap();
    assert_eq!(granted, Ok(GrantOutcome { puid, new: true }));
    let events = fixture.take_events();
    let [CommittedEvent::Grants { user, set, apps, resumed, ended }] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!((*user, resumed.len(), ended.len()), (alice, 0, 0));
    assert_eq!(*apps, [(APP, ApplicationState::Active), (other, ApplicationState::Active)]);
    assert_eq!(set.revision, before.revision + 1);
    assert_eq!(set.grants[0], before.grants[0]);
    assert_eq!(
        set.grants[1],
        Grant {
            app: other,
            puid,
            paused: false,
            waiting: false,
            granted_at: NOW + Duration::from_millis(1)
        }
    );
    let loaded = fixture.load(alice).await;
    assert_eq!(loaded.grants, *set);
    assert_eq!(loaded.apps.len(), 2);
}

#[tokio::test]
async fn the_limit_of_grants_holds_for_requests_at_the_same_time_and_counts_paused_ones() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.writer.pause(alice, APP, true).await.unwrap();
    let (bob, _) = fixture.user_with_grant("bob", 2).await;
    let writer = fixture.writer.clone().with_max_grants(3);
    let app = |n: u128| AppId::from_bits(0x100 + n);
    for n in 1..=9 {
        fixture.app(app(n), bob).await;
    }
    let requests: Vec<_> = (1..=9)
        .map(|n| writer.grant(alice, (app(n), DOMAIN), Puid::from_bits(0x100 + n), NOW))
        .collect();
    let mut granted = 0;
    for request in requests {
        match request.await.unwrap() {
            Ok(_) => granted += 1,
            Err(error) => assert_eq!(error, GrantError::TooMany),
        }
    }
    assert_eq!(granted, 2);
    let again = writer.grant(alice, (APP, DOMAIN), Puid::from_bits(3), NOW).await.unwrap();
    assert_eq!(again, Ok(GrantOutcome { puid, new: false }));
    let of_other = writer.grant(bob, (app(9), DOMAIN), Puid::from_bits(4), NOW).await.unwrap();
    assert!(of_other.is_ok());
}

#[tokio::test]
async fn a_missing_application_or_user_can_neither_be_granted_nor_paused_nor_revoked() {
    let fixture = Fixture::new().await;
    let (alice, _) = fixture.user_with_grant("alice", 1).await;
    let missing_app = AppId::from_bits(0xff);
    let missing_user = UserId(999);
    let puid = Puid::from_bits(9);
    let grant =
        async |user, app| fixture.writer.grant(user, (app, DOMAIN), puid, NOW).await.unwrap();
    assert_eq!(grant(alice, missing_app).await, Err(GrantError::Unknown));
    assert_eq!(grant(missing_user, APP).await, Err(GrantError::Unknown));
    assert_eq!(fixture.writer.pause(alice, missing_app, true).await.unwrap(), None);
    assert_eq!(fixture.writer.revoke(missing_user, APP).await.unwrap(), None);
    assert!(!fixture.writer.remove_app(missing_app).await.unwrap());
    assert!(!fixture.writer.erase_user(missing_user).await.unwrap());
    assert_eq!(fixture.load(missing_user).await.grants.revision, 0);
    assert!(fixture.take_events().is_empty());
}

#[tokio::test]
async fn a_paused_grant_queues_and_delivers_on_resuming() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.queue(1, puid).await;
    assert!(fixture.writer.pause(alice, APP, true).await.unwrap().unwrap().paused);
    fixture.take_events();
    assert_eq!(fixture.queue(2, puid).await, 2);
    assert!(fixture.take_events().is_empty(), "nothing is delivered to devices");
    assert!(fixture.pending(alice).await.is_empty());

    assert!(!fixture.writer.pause(alice, APP, false).await.unwrap().unwrap().paused);
    let events = fixture.take_events();
    let [CommittedEvent::Suspension { suspended, .. }, CommittedEvent::Grants { resumed, set, .. }] =
        events.as_slice()
    else {
        panic!("{events:?}")
    };
    assert!(!suspended);
    assert_eq!(resumed.iter().map(|n| n.id).collect::<Vec<_>>(), [id(1), id(2)]);
    assert!(!set.grants[0].paused);
    assert_eq!(fixture.pending(alice).await, [id(1), id(2)]);
}

#[tokio::test]
async fn pausing_twice_is_one_change() {
    let fixture = Fixture::new().await;
    let (alice, _) = fixture.user_with_grant("alice", 1).await;
    fixture.writer.pause(alice, APP, true).await.unwrap();
    let revision = fixture.load(alice).await.grants.revision;
    fixture.take_events();
    assert!(fixture.writer.pause(alice, APP, true).await.unwrap().unwrap().paused);
    assert!(fixture.take_events().is_empty());
    assert_eq!(fixture.load(alice).await.grants.revision, revision);
}

#[tokio::test]
async fn a_revoked_grant_empties_the_queue_with_receipts_and_ends_the_puid() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.set_visibility(puid, TestVisibility::Hidden);
    fixture.notify(vec![item(1, puid), item(2, puid)]).await;
    fixture.writer.settle(alice, vec![id(1)], Settlement::Acked).await.unwrap();
    fixture.take_events();
    let revoked = fixture.writer.revoke(alice, APP).await.unwrap().unwrap();
    assert_eq!(revoked.puid, puid);
    let events = fixture.take_events();
    let receipts: Vec<_> = events.iter().filter_map(receipt).collect();
    assert_eq!(receipts, [(id(1), Revoked), (id(2), Revoked)]);
    let Some(CommittedEvent::Grants { set, ended, .. }) = events.last() else {
        panic!("{events:?}")
    };
    assert!(set.grants.is_empty());
    assert_eq!(*ended, [(APP, puid)]);

    assert_eq!(fixture.notify(vec![item(3, puid)]).await, [Err(NotifyError::UnknownUid)]);
    let anew = fixture.writer.grant(alice, (APP, DOMAIN), Puid::from_bits(2), NOW).await.unwrap();
    assert_eq!(anew, Ok(GrantOutcome { puid: Puid::from_bits(2), new: true }));
    assert!(fixture.pending(alice).await.is_empty());
}

#[tokio::test]
async fn changes_keep_their_order_among_notifications() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    let before = fixture.writer.notify(APP, vec![item(1, puid)]);
    let revoked = fixture.writer.revoke(alice, APP);
    let after = fixture.writer.notify(APP, vec![item(2, puid)]);
    assert!(before.await.unwrap()[0].is_ok());
    assert!(revoked.await.unwrap().is_some());
    assert_eq!(after.await.unwrap(), [Err(NotifyError::UnknownUid)]);
}

#[tokio::test]
async fn a_removed_application_loses_its_keys_grants_and_queues() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    let (bob, _) = fixture.user_with_grant("bob", 2).await;
    fixture.insert_key(1).await;
    fixture.queue(1, puid).await;
    let revision = fixture.load(alice).await.grants.revision;
    fixture.take_events();
    assert!(fixture.writer.remove_app(APP).await.unwrap());
    assert_eq!(fixture.take_events(), [CommittedEvent::AppRemoved(APP, vec![alice, bob])]);
    assert_eq!(fixture.store.app(APP).await.unwrap(), None);
    let credential = ("pk_1", [1; 32]);
    assert_eq!(fixture.store.find_key(credential, steady()).await.unwrap(), None);
    let loaded = fixture.load(alice).await;
    assert!(loaded.grants.grants.is_empty() && loaded.pending.is_empty());
    assert_eq!(loaded.grants.revision, revision + 1);
}

#[tokio::test]
async fn an_erased_user_leaves_nothing() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    let (bob, _) = fixture.user_with_grant("bob", 2).await;
    let own = AppId::from_bits(0xb);
    fixture.app(own, alice).await;
    fixture.writer.grant(bob, (own, DOMAIN), Puid::from_bits(3), NOW).await.unwrap().unwrap();
    fixture.queue(1, puid).await;
    fixture.take_events();
    assert!(fixture.writer.erase_user(alice).await.unwrap());
    let events = fixture.take_events();
    assert_eq!(events[0], CommittedEvent::AppRemoved(own, vec![bob]));
    assert_eq!(receipt(&events[1]), Some((id(1), Revoked)));
    assert_eq!(events[2], CommittedEvent::UserErased(alice, vec![(APP, puid)], vec![own]));

    let email = Email::parse("alice@b.example").unwrap();
    assert_eq!(fixture.store.find_user(&email).await.unwrap(), None);
    assert_eq!(fixture.store.account(alice, NOW).await.unwrap(), None);
    assert_eq!(fixture.store.live_puids(APP, &[puid]).await.unwrap(), []);
    let again = fixture.store.find_or_create_user(&email, NOW).await.unwrap();
    assert!(again > alice.max(bob), "a user number is never reused");
}

#[tokio::test]
async fn at_most_500_expire_at_once() {
    let fixture = Fixture::new().await;
    for n in 1..=6 {
        let (_, puid) = fixture.user_with_grant(&format!("user{n}"), n).await;
        fixture.notify((0..100).map(|m| item(n * 1000 + m, puid)).collect()).await;
    }
    fixture.advance(HOUR);
    fixture.take_events();
    assert_eq!(fixture.writer.expire().await.unwrap(), 500);
    assert_eq!(fixture.writer.expire().await.unwrap(), 100);
    let receipts = fixture.receipts();
    assert_eq!(receipts.len(), 600);
    assert!(receipts.iter().all(|(_, state)| *state == Expired));
}
