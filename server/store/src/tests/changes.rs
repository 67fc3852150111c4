//! Grants and what ends them.

use std::time::Duration;

use presence_core::model::{Email, Grant, Settlement, UserId};
use presence_protocol::app::ReceiptState::{Expired, Revoked};
use presence_protocol::{AppId, Puid};

use super::house::{APP, HOUR, House, NOW, id, item, receipt};
use crate::{CommittedEvent, GrantOutcome, NotifyError, Reachability};

#[tokio::test]
async fn a_repeated_grant_answers_the_same_puid_and_changes_nothing() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    house.writer.pause(alice, APP, true).await.unwrap();
    house.done();
    let again = house.writer.grant(alice, APP, Puid::from_bits(2), NOW).await.unwrap();
    assert_eq!(again, Some(GrantOutcome { puid, new: false }));
    assert!(house.done().is_empty());
    assert!(house.load(alice).await.grants.grants[0].paused);
}

#[tokio::test]
async fn a_grant_is_told_with_the_whole_set_and_a_greater_revision() {
    let house = House::new().await;
    let (alice, _) = house.granted("alice", 1).await;
    let before = house.load(alice).await.grants;
    let other = AppId::from_bits(0xb);
    house.app(other, alice).await;
    let puid = Puid::from_bits(2);
    let granted =
        house.writer.grant(alice, other, puid, NOW + Duration::from_millis(1)).await.unwrap();
    assert_eq!(granted, Some(GrantOutcome { puid, new: true }));
    let done = house.done();
    let [CommittedEvent::Grants { user, set, resumed, ended }] = done.as_slice() else {
        panic!("{done:?}")
    };
    assert_eq!((*user, resumed.len(), ended.len()), (alice, 0, 0));
    assert_eq!(set.revision, before.revision + 1);
    assert_eq!(set.grants[0], before.grants[0]);
    assert_eq!(
        set.grants[1],
        Grant { app: other, puid, paused: false, granted_at: NOW + Duration::from_millis(1) }
    );
    let loaded = house.load(alice).await;
    assert_eq!(loaded.grants, *set);
    assert_eq!(loaded.apps.len(), 2);
}

#[tokio::test]
async fn what_is_not_there_can_neither_be_granted_nor_paused_nor_revoked() {
    let house = House::new().await;
    let (alice, _) = house.granted("alice", 1).await;
    let nothing = AppId::from_bits(0xff);
    let nobody = UserId(999);
    let puid = Puid::from_bits(9);
    assert_eq!(house.writer.grant(alice, nothing, puid, NOW).await.unwrap(), None);
    assert_eq!(house.writer.grant(nobody, APP, puid, NOW).await.unwrap(), None);
    assert_eq!(house.writer.pause(alice, nothing, true).await.unwrap(), None);
    assert_eq!(house.writer.revoke(nobody, APP).await.unwrap(), None);
    assert!(!house.writer.remove_app(nothing).await.unwrap());
    assert!(!house.writer.erase_user(nobody).await.unwrap());
    assert_eq!(house.load(nobody).await.grants.revision, 0);
    assert!(house.done().is_empty());
}

#[tokio::test]
async fn a_paused_grant_queues_and_hands_out_on_resuming() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    house.queue(1, puid).await;
    assert!(house.writer.pause(alice, APP, true).await.unwrap().unwrap().paused);
    house.done();
    assert_eq!(house.queue(2, puid).await, 2);
    assert!(house.done().is_empty(), "no device is handed anything");
    assert!(house.pending(alice).await.is_empty());

    assert!(!house.writer.pause(alice, APP, false).await.unwrap().unwrap().paused);
    let done = house.done();
    let [CommittedEvent::Grants { resumed, set, .. }] = done.as_slice() else { panic!("{done:?}") };
    assert_eq!(resumed.iter().map(|n| n.id).collect::<Vec<_>>(), [id(1), id(2)]);
    assert!(!set.grants[0].paused);
    assert_eq!(house.pending(alice).await, [id(1), id(2)]);
}

#[tokio::test]
async fn pausing_twice_is_one_change() {
    let house = House::new().await;
    let (alice, _) = house.granted("alice", 1).await;
    house.writer.pause(alice, APP, true).await.unwrap();
    let revision = house.load(alice).await.grants.revision;
    house.done();
    assert!(house.writer.pause(alice, APP, true).await.unwrap().unwrap().paused);
    assert!(house.done().is_empty());
    assert_eq!(house.load(alice).await.grants.revision, revision);
}

#[tokio::test]
async fn a_revoke_empties_the_queue_with_receipts_and_kills_the_puid() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    house.set_reach(puid, Reachability::Unseen);
    house.notify(vec![item(1, puid), item(2, puid)]).await;
    house.writer.settle(alice, vec![id(1)], Settlement::Acked).await.unwrap();
    house.done();
    let revoked = house.writer.revoke(alice, APP).await.unwrap().unwrap();
    assert_eq!(revoked.puid, puid);
    let done = house.done();
    let receipts: Vec<_> = done.iter().filter_map(receipt).collect();
    assert_eq!(receipts, [(id(1), Revoked), (id(2), Revoked)]);
    let Some(CommittedEvent::Grants { set, ended, .. }) = done.last() else { panic!("{done:?}") };
    assert!(set.grants.is_empty());
    assert_eq!(*ended, [(APP, puid)]);

    assert_eq!(house.notify(vec![item(3, puid)]).await, [Err(NotifyError::UnknownUid)]);
    let anew = house.writer.grant(alice, APP, Puid::from_bits(2), NOW).await.unwrap();
    assert_eq!(anew, Some(GrantOutcome { puid: Puid::from_bits(2), new: true }));
    assert!(house.pending(alice).await.is_empty());
}

#[tokio::test]
async fn changes_keep_their_place_among_notifications() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    let before = house.writer.notify(APP, vec![item(1, puid)]);
    let revoked = house.writer.revoke(alice, APP);
    let after = house.writer.notify(APP, vec![item(2, puid)]);
    assert!(before.await.unwrap()[0].is_ok());
    assert!(revoked.await.unwrap().is_some());
    assert_eq!(after.await.unwrap(), [Err(NotifyError::UnknownUid)]);
}

#[tokio::test]
async fn a_removed_application_takes_its_keys_grants_and_queues_with_it() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    let (bob, _) = house.granted("bob", 2).await;
    house.store.insert_key(APP, "pk_1", [1; 32], NOW).await.unwrap();
    house.queue(1, puid).await;
    let revision = house.load(alice).await.grants.revision;
    house.done();
    assert!(house.writer.remove_app(APP).await.unwrap());
    assert_eq!(house.done(), [CommittedEvent::AppRemoved(APP, vec![alice, bob])]);
    assert_eq!(house.store.app(APP).await.unwrap(), None);
    assert!(house.store.keys_by_prefix("pk_1").await.unwrap().is_empty());
    let loaded = house.load(alice).await;
    assert!(loaded.grants.grants.is_empty() && loaded.pending.is_empty());
    assert_eq!(loaded.grants.revision, revision + 1);
}

#[tokio::test]
async fn an_erased_user_leaves_nothing() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    let (bob, _) = house.granted("bob", 2).await;
    let own = AppId::from_bits(0xb);
    house.app(own, alice).await;
    house.writer.grant(bob, own, Puid::from_bits(3), NOW).await.unwrap();
    house.queue(1, puid).await;
    house.done();
    assert!(house.writer.erase_user(alice).await.unwrap());
    let done = house.done();
    assert_eq!(done[0], CommittedEvent::AppRemoved(own, vec![bob]));
    assert_eq!(receipt(&done[1]), Some((id(1), Revoked)));
    assert_eq!(done[2], CommittedEvent::UserErased(alice, vec![(APP, puid)], vec![own]));

    let email = Email::parse("alice@b.example").unwrap();
    assert_eq!(house.store.find_user(&email).await.unwrap(), None);
    assert_eq!(house.store.account(alice).await.unwrap(), None);
    assert_eq!(house.store.live_puids(APP, &[puid]).await.unwrap(), []);
    let again = house.store.find_or_create_user(&email, NOW).await.unwrap();
    assert!(again > alice.max(bob), "a number is never used again");
}

#[tokio::test]
async fn at_most_500_expire_at_once() {
    let house = House::new().await;
    for n in 1..=6 {
        let (_, puid) = house.granted(&format!("user{n}"), n).await;
        house.notify((0..100).map(|m| item(n * 1000 + m, puid)).collect()).await;
    }
    house.pass(HOUR);
    house.done();
    assert_eq!(house.writer.expire().await.unwrap(), 500);
    assert_eq!(house.writer.expire().await.unwrap(), 100);
    let receipts = house.receipts();
    assert_eq!(receipts.len(), 600);
    assert!(receipts.iter().all(|(_, state)| *state == Expired));
}
