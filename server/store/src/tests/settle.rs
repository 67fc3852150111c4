//! Settlement: once, by the right user, with a receipt only if the Application may know.

use presence_core::model::Settlement;
use presence_protocol::app::ReceiptState::{Acked, Delivered, Expired, Revoked};

use super::fixture::{APP, Fixture, HOUR, id, item};
use crate::{CommittedEvent, Reachability};

#[tokio::test]
async fn a_settlement_creates_a_receipt_and_ends_the_delivery() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.notify(vec![item(1, puid), item(2, puid), item(3, puid)]).await;
    fixture.take_events();
    assert_eq!(fixture.writer.settle(alice, vec![id(1)], Settlement::Delivered).await.unwrap(), 1);
    assert_eq!(fixture.writer.settle(alice, vec![id(2)], Settlement::Acked).await.unwrap(), 1);
    assert_eq!(fixture.receipts(), [(id(1), Delivered), (id(2), Acked)]);
    assert_eq!(fixture.pending(alice).await, [id(3)]);
}

#[tokio::test]
async fn only_the_first_settlement_counts() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.queue(1, puid).await;
    fixture.take_events();
    let first = fixture.writer.settle(alice, vec![id(1), id(1)], Settlement::Acked);
    let second = fixture.writer.settle(alice, vec![id(1), id(99)], Settlement::Delivered);
    assert_eq!((first.await.unwrap(), second.await.unwrap()), (1, 0));
    assert_eq!(fixture.receipts(), [(id(1), Acked)]);
}

#[tokio::test]
async fn a_notification_of_another_user_is_not_settled() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    let (mallory, _) = fixture.user_with_grant("mallory", 2).await;
    fixture.queue(1, puid).await;
    fixture.take_events();
    assert_eq!(fixture.writer.settle(mallory, vec![id(1)], Settlement::Acked).await.unwrap(), 0);
    assert!(fixture.take_events().is_empty());
    assert_eq!(fixture.pending(alice).await, [id(1)]);
}

#[tokio::test]
async fn a_receipt_waits_until_the_application_sees_the_user() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.notify(vec![item(1, puid), item(2, puid)]).await;
    fixture.take_events();
    fixture.set_reachability(puid, Reachability::Unseen);
    fixture.writer.settle(alice, vec![id(1)], Settlement::Delivered).await.unwrap();
    fixture.writer.settle(alice, vec![id(2)], Settlement::Acked).await.unwrap();
    assert_eq!(fixture.take_events(), vec![CommittedEvent::Withheld(alice, APP, puid); 2]);
    assert_eq!(fixture.writer.settle(alice, vec![id(1)], Settlement::Acked).await.unwrap(), 0);

    let fixture = fixture.reopen().await;
    let loaded = fixture.load(alice).await;
    assert!(loaded.pending.is_empty(), "a device has settled them");
    assert_eq!(loaded.withheld, [(APP, puid)]);

    assert_eq!(fixture.writer.release(APP, puid).await.unwrap(), 2);
    assert_eq!(fixture.receipts(), [(id(1), Delivered), (id(2), Acked)]);
    assert_eq!(fixture.writer.release(APP, puid).await.unwrap(), 0);
    assert!(fixture.load(alice).await.withheld.is_empty());
}

#[tokio::test]
async fn a_pending_notification_is_not_released() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.queue(1, puid).await;
    fixture.take_events();
    assert_eq!(fixture.writer.release(APP, puid).await.unwrap(), 0);
    assert_eq!(fixture.pending(alice).await, [id(1)]);
}

#[tokio::test]
async fn a_withheld_receipt_is_replaced_by_expiry_or_revocation() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.set_reachability(puid, Reachability::Unseen);
    fixture.queue(1, puid).await;
    fixture.writer.settle(alice, vec![id(1)], Settlement::Acked).await.unwrap();
    fixture.advance(HOUR);
    fixture.queue(2, puid).await;
    fixture.writer.settle(alice, vec![id(2)], Settlement::Acked).await.unwrap();
    fixture.take_events();
    fixture.writer.expire().await.unwrap();
    fixture.writer.revoke(alice, APP).await.unwrap();
    assert_eq!(fixture.receipts(), [(id(1), Expired), (id(2), Revoked)]);
}
