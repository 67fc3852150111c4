//! Settlement: once, by the right user, with a receipt only if the Application may know.

use presence_core::model::Settlement;
use presence_protocol::app::ReceiptState::{Acked, Delivered, Expired, Revoked};

use super::fixture::{APP, Fixture, HOUR, TestVisibility, id, item};
use crate::CommittedEvent;

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
    fixture.set_visibility(puid, TestVisibility::Hidden);
    fixture.writer.settle(alice, vec![id(1)], Settlement::Delivered).await.unwrap();
    fixture.writer.settle(alice, vec![id(2)], Settlement::Acked).await.unwrap();
    assert_eq!(fixture.take_events(), vec![CommittedEvent::Taken(APP, puid); 2]);
    assert_eq!(fixture.writer.settle(alice, vec![id(1)], Settlement::Acked).await.unwrap(), 0);

    let fixture = fixture.reopen().await;
    let loaded = fixture.load(alice).await;
    assert!(loaded.pending.is_empty(), "a device has settled them");
    assert_eq!(loaded.taken, [(APP, puid)]);

    fixture.release(puid).await;
    assert_eq!(fixture.receipts(), [(id(1), Delivered), (id(2), Acked)]);
    fixture.release(puid).await;
    assert!(fixture.receipts().is_empty());
    assert!(fixture.load(alice).await.taken.is_empty());
}

#[tokio::test]
async fn a_pending_notification_is_not_released() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.queue(1, puid).await;
    fixture.take_events();
    fixture.release(puid).await;
    assert!(fixture.receipts().is_empty());
    assert_eq!(fixture.pending(alice).await, [id(1)]);
}

#[tokio::test]
async fn a_taken_notification_that_expires_or_is_revoked_gets_only_that_receipt() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.set_visibility(puid, TestVisibility::Hidden);
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

#[tokio::test]
async fn the_visibility_before_the_transaction_decides_and_the_receipt_is_final() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.queue(1, puid).await;
    fixture.take_events();
    let settled = fixture.writer.settle(alice, vec![id(1)], Settlement::Acked);
    assert_eq!(settled.await.unwrap(), 1);
    fixture.set_visibility(puid, TestVisibility::Hidden);
    assert_eq!(fixture.receipts(), [(id(1), Acked)]);
    assert!(fixture.load(alice).await.taken.is_empty());
}

#[tokio::test]
async fn a_release_that_cannot_be_committed_is_given_back() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.queue(1, puid).await;
    fixture.set_visibility(puid, TestVisibility::Hidden);
    fixture.writer.settle(alice, vec![id(1)], Settlement::Acked).await.unwrap();
    fixture.take_events();
    fixture.refuse_writes(true).await;
    fixture.release(puid).await;
    assert_eq!(fixture.failed_releases(), [(APP, puid)]);
    assert!(fixture.take_events().is_empty());
    fixture.refuse_writes(false).await;
    fixture.writer.expire().await.unwrap();
    fixture.release(puid).await;
    assert_eq!(fixture.receipts(), [(id(1), Acked)]);
    assert!(fixture.failed_releases().is_empty());
}

#[tokio::test]
async fn a_release_keeps_the_order_in_which_notifications_were_accepted() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.notify((1..=3).map(|n| item(n, puid)).collect()).await;
    fixture.set_visibility(puid, TestVisibility::Hidden);
    for n in [2, 3, 1] {
        fixture.writer.settle(alice, vec![id(n)], Settlement::Acked).await.unwrap();
    }
    fixture.take_events();
    fixture.release(puid).await;
    assert_eq!(fixture.receipts(), [(id(1), Acked), (id(2), Acked), (id(3), Acked)]);
}

#[tokio::test]
async fn a_noted_settlement_is_known_until_it_is_written() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.queue(1, puid).await;
    assert!(fixture.writer.note_settled(alice, &[id(1)], Settlement::Acked));
    assert!(fixture.writer.noted(alice).contains(&id(1).to_string()));
    fixture.writer.expire().await.unwrap();
    assert!(fixture.writer.noted(alice).is_empty());
    assert!(fixture.pending(alice).await.is_empty());
}
