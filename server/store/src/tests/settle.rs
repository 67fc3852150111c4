//! Taking: once, by the right user, and told only to who may know.

use presence_core::model::Settlement;
use presence_protocol::app::ReceiptState::{Acked, Delivered, Expired, Revoked};

use super::house::{APP, HOUR, House, id, item};
use crate::{CommittedEvent, Reachability};

#[tokio::test]
async fn taking_is_told_and_ends_the_waiting() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    house.notify(vec![item(1, puid), item(2, puid), item(3, puid)]).await;
    house.done();
    assert_eq!(house.writer.settle(alice, vec![id(1)], Settlement::Delivered).await.unwrap(), 1);
    assert_eq!(house.writer.settle(alice, vec![id(2)], Settlement::Acked).await.unwrap(), 1);
    assert_eq!(house.receipts(), [(id(1), Delivered), (id(2), Acked)]);
    assert_eq!(house.pending(alice).await, [id(3)]);
}

#[tokio::test]
async fn the_first_to_take_settles_it() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    house.queue(1, puid).await;
    house.done();
    let first = house.writer.settle(alice, vec![id(1), id(1)], Settlement::Acked);
    let second = house.writer.settle(alice, vec![id(1), id(99)], Settlement::Delivered);
    assert_eq!((first.await.unwrap(), second.await.unwrap()), (1, 0));
    assert_eq!(house.receipts(), [(id(1), Acked)]);
}

#[tokio::test]
async fn what_waits_for_another_user_is_not_touched() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    let (mallory, _) = house.granted("mallory", 2).await;
    house.queue(1, puid).await;
    house.done();
    assert_eq!(house.writer.settle(mallory, vec![id(1)], Settlement::Acked).await.unwrap(), 0);
    assert!(house.done().is_empty());
    assert_eq!(house.pending(alice).await, [id(1)]);
}

#[tokio::test]
async fn a_receipt_waits_until_the_application_sees_the_user() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    house.notify(vec![item(1, puid), item(2, puid)]).await;
    house.done();
    house.set_reach(puid, Reachability::Unseen);
    house.writer.settle(alice, vec![id(1)], Settlement::Delivered).await.unwrap();
    house.writer.settle(alice, vec![id(2)], Settlement::Acked).await.unwrap();
    assert_eq!(house.done(), vec![CommittedEvent::Withheld(alice, APP, puid); 2]);
    assert_eq!(house.writer.settle(alice, vec![id(1)], Settlement::Acked).await.unwrap(), 0);

    let house = house.reopen().await;
    let loaded = house.load(alice).await;
    assert!(loaded.pending.is_empty(), "a device has them");
    assert_eq!(loaded.withheld, [(APP, puid)]);

    assert_eq!(house.writer.release(APP, puid).await.unwrap(), 2);
    assert_eq!(house.receipts(), [(id(1), Delivered), (id(2), Acked)]);
    assert_eq!(house.writer.release(APP, puid).await.unwrap(), 0);
    assert!(house.load(alice).await.withheld.is_empty());
}

#[tokio::test]
async fn what_is_pending_is_not_released() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    house.queue(1, puid).await;
    house.done();
    assert_eq!(house.writer.release(APP, puid).await.unwrap(), 0);
    assert_eq!(house.pending(alice).await, [id(1)]);
}

#[tokio::test]
async fn a_withheld_item_can_still_expire_or_be_revoked_and_says_only_that() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    house.set_reach(puid, Reachability::Unseen);
    house.queue(1, puid).await;
    house.writer.settle(alice, vec![id(1)], Settlement::Acked).await.unwrap();
    house.pass(HOUR);
    house.queue(2, puid).await;
    house.writer.settle(alice, vec![id(2)], Settlement::Acked).await.unwrap();
    house.done();
    house.writer.expire().await.unwrap();
    house.writer.revoke(alice, APP).await.unwrap();
    assert_eq!(house.receipts(), [(id(1), Expired), (id(2), Revoked)]);
}
