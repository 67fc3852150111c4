//! Notifications: durability, order, bound, time to live and idempotency.

use std::time::Duration;

use presence_core::model::Settlement;
use presence_protocol::app::ReceiptState::{Dropped, Expired};
use presence_protocol::limits::MAX_QUEUE_ITEMS;
use presence_protocol::{AppId, Puid};

use super::fixture::{APP, Fixture, HOUR, NOW, TestVisibility, id, item, receipt};
use crate::{CommittedEvent, NewNotification, NotifyError};

#[tokio::test]
async fn an_accepted_notification_is_in_the_file() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    let mut sent = item(7, puid);
    sent.action = "https://chess.example/7".to_owned();
    fixture.notify(vec![sent]).await[0].as_ref().unwrap();

    let fixture = fixture.reopen().await;
    let pending = fixture.load(alice).await.pending;
    let [found] = pending.as_slice() else { panic!("{pending:?}") };
    assert_eq!((found.id, found.app, found.puid, found.user), (id(7), APP, puid, alice));
    assert_eq!((&*found.source, &*found.message), ("Chess", "message 7"));
    assert_eq!(&*found.action, "https://chess.example/7");
    assert_eq!((found.sent_at, found.expires_at), (NOW, NOW + HOUR));
}

#[tokio::test]
async fn a_queued_notification_is_delivered_after_the_commit() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.queue(7, puid).await;
    let events = fixture.take_events();
    let [CommittedEvent::Queued(queued)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(fixture.load(alice).await.pending, std::slice::from_ref(queued));
    assert_eq!(fixture.load(alice).await.up_to, queued.seq);
}

#[tokio::test]
async fn a_queue_keeps_the_order_of_acceptance() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    // The ids decrease, so that the order cannot come from them.
    let replies: Vec<_> =
        (0..50).map(|n| fixture.writer.notify(APP, vec![item(100 - n, puid)])).collect();
    for reply in replies {
        reply.await.unwrap()[0].as_ref().unwrap();
    }
    let expected: Vec<_> = (0..50).map(|n| id(100 - n)).collect();
    assert_eq!(fixture.pending(alice).await, expected);
}

#[tokio::test]
async fn each_item_has_its_own_result() {
    let fixture = Fixture::new().await;
    let (_, alice) = fixture.user_with_grant("alice", 1).await;
    let (_, bob) = fixture.user_with_grant("bob", 2).await;
    let unknown = Puid::from_bits(3);
    let replies = fixture.notify(vec![item(1, alice), item(2, unknown), item(3, bob)]).await;
    assert!(replies[0].is_ok() && replies[2].is_ok());
    assert_eq!(replies[1], Err(NotifyError::UnknownUid));
}

#[tokio::test]
async fn the_uid_of_another_application_is_unknown() {
    let fixture = Fixture::new().await;
    let (_, puid) = fixture.user_with_grant("alice", 1).await;
    let other = AppId::from_bits(0xb);
    fixture.app(other, fixture.user("owner").await).await;
    let replies = fixture.writer.notify(other, vec![item(1, puid)]).await.unwrap();
    assert_eq!(replies, [Err(NotifyError::UnknownUid)]);
}

#[tokio::test]
async fn a_full_queue_drops_the_oldest_with_receipts() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    let (_, bob) = fixture.user_with_grant("bob", 2).await;
    fixture.queue(9_999, bob).await;
    for n in 1..=100 {
        assert_eq!(u128::from(fixture.queue(n, puid).await), n);
    }
    assert!(fixture.receipts().is_empty());
    assert_eq!(fixture.queue(101, puid).await, 100);
    assert_eq!(fixture.queue(102, puid).await, 100);
    assert_eq!(fixture.receipts(), [(id(1), Dropped), (id(2), Dropped)]);
    assert_eq!(fixture.pending(alice).await, (3..=102).map(id).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_batch_larger_than_the_queue_leaves_its_newest_items() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.queue(1, puid).await;
    fixture.take_events();
    let replies = fixture.notify((2..=150).map(|n| item(n, puid)).collect()).await;
    let sizes: Vec<_> = replies.iter().map(|reply| reply.as_ref().unwrap().queue_size).collect();
    assert_eq!(sizes[0], 2);
    assert_eq!(sizes[148], 100);
    assert_eq!(fixture.pending(alice).await, (51..=150).map(id).collect::<Vec<_>>());
    let events = fixture.take_events();
    assert_eq!(
        events.iter().filter(|event| matches!(event, CommittedEvent::Queued(_))).count(),
        MAX_QUEUE_ITEMS
    );
    let dropped: Vec<_> = events.iter().filter_map(receipt).collect();
    assert_eq!(dropped, (1..=50).map(|n| (id(n), Dropped)).collect::<Vec<_>>());
}

#[tokio::test]
async fn taken_notifications_count_in_the_queue_and_can_be_dropped() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.set_visibility(puid, TestVisibility::Hidden);
    fixture.queue(1, puid).await;
    assert_eq!(fixture.writer.settle(alice, vec![id(1)], Settlement::Acked).await.unwrap(), 1);
    assert_eq!(fixture.queue(2, puid).await, 2);
    fixture.take_events();
    fixture.notify((3..=101).map(|n| item(n, puid)).collect()).await;
    assert_eq!(fixture.receipts(), [(id(1), Dropped)]);
    fixture.release(puid).await;
    assert!(fixture.receipts().is_empty());
}

fn live(bits: u128, puid: Puid) -> NewNotification {
    NewNotification { ttl: 0, ..item(bits, puid) }
}

#[tokio::test]
async fn a_live_notification_goes_to_a_connected_device_and_to_no_later_one() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.queue(1, puid).await;
    fixture.take_events();
    let replies = fixture.notify(vec![live(2, puid)]).await;
    assert_eq!(replies[0].as_ref().unwrap().queue_size, 2);
    let events = fixture.take_events();
    assert!(
        matches!(events.as_slice(), [CommittedEvent::Queued(queued)] if queued.id == id(2)),
        "{events:?}"
    );
    assert_eq!(fixture.pending(alice).await, [id(1)]);
    assert_eq!(fixture.writer.settle(alice, vec![id(2)], Settlement::Acked).await.unwrap(), 1);
}

#[tokio::test]
async fn a_live_notification_expires_after_a_minute_without_an_acknowledgement() {
    let fixture = Fixture::new().await;
    let (_, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.notify(vec![live(2, puid)]).await;
    fixture.advance(Duration::from_millis(59_999));
    assert_eq!(fixture.writer.expire().await.unwrap(), 0);
    fixture.advance(Duration::from_millis(1));
    assert_eq!(fixture.writer.expire().await.unwrap(), 1);
    assert_eq!(fixture.receipts(), [(id(2), Expired)]);
}

#[tokio::test]
async fn a_live_notification_without_a_visible_device_is_dropped_with_the_same_reply() {
    for visibility in [TestVisibility::Visible, TestVisibility::Hidden] {
        let fixture = Fixture::new().await;
        let (alice, puid) = fixture.user_with_grant("alice", 1).await;
        fixture.set_visibility(puid, visibility);
        fixture.queue(1, puid).await;
        fixture.take_events();
        let mut sent = live(2, puid);
        sent.idempotency_key = Some("k".to_owned());
        let replies = fixture.notify(vec![sent.clone()]).await;
        let reply = replies[0].as_ref().unwrap();
        assert_eq!((reply.id, reply.queue_size), (id(2), 1), "{visibility:?}");
        assert_eq!(fixture.receipts(), [(id(2), Dropped)]);
        assert_eq!(fixture.pending(alice).await, [id(1)]);

        sent.id = id(3);
        assert_eq!(fixture.notify(vec![sent]).await, replies, "the key is remembered");
        assert!(fixture.take_events().is_empty());
    }
}

#[tokio::test]
async fn a_live_notification_is_dropped_by_a_paused_grant() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.writer.pause(alice, APP, true).await.unwrap();
    fixture.notify(vec![live(2, puid)]).await[0].as_ref().unwrap();
    assert_eq!(fixture.receipts(), [(id(2), Dropped)]);
}

fn keyed(bits: u128, puid: Puid, message: &str) -> NewNotification {
    let idempotency_key = Some("key".to_owned());
    NewNotification { message: message.to_owned(), idempotency_key, ..item(bits, puid) }
}

#[tokio::test]
async fn a_repeated_key_gets_the_first_reply_also_after_a_restart() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    let first = fixture.notify(vec![keyed(1, puid, "hi")]).await;
    fixture.queue(2, puid).await;
    assert_eq!(fixture.notify(vec![keyed(3, puid, "hi")]).await, first);
    let fixture = fixture.reopen().await;
    assert_eq!(fixture.notify(vec![keyed(4, puid, "hi")]).await, first);
    assert!(fixture.take_events().is_empty());
    assert_eq!(fixture.pending(alice).await, [id(1), id(2)]);
}

#[tokio::test]
async fn another_body_under_the_same_key_is_refused() {
    let fixture = Fixture::new().await;
    let (_, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.notify(vec![keyed(1, puid, "hi")]).await[0].as_ref().unwrap();
    let other_action =
        NewNotification { action: "https://x.example".to_owned(), ..keyed(2, puid, "hi") };
    let other_ttl = NewNotification { ttl: 7, ..keyed(3, puid, "hi") };
    let replies = fixture.notify(vec![keyed(4, puid, "ho"), other_action, other_ttl]).await;
    assert_eq!(replies, vec![Err(NotifyError::IdempotencyMismatch); 3]);
}

#[tokio::test]
async fn keys_apply_within_a_batch_and_to_one_uid_only() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    let (bob, other) = fixture.user_with_grant("bob", 2).await;
    let replies = fixture
        .notify(vec![
            keyed(1, puid, "hi"),
            keyed(2, puid, "hi"),
            keyed(3, puid, "ho"),
            keyed(4, other, "ho"),
        ])
        .await;
    assert_eq!(replies[1], replies[0]);
    assert_eq!(replies[2], Err(NotifyError::IdempotencyMismatch));
    assert_eq!(fixture.pending(alice).await, [id(1)]);
    assert_eq!(fixture.pending(bob).await, [id(4)]);
}

#[tokio::test]
async fn a_key_expires_after_a_day() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    let day = |bits| NewNotification { ttl: 2_592_000, ..keyed(bits, puid, "hi") };
    fixture.notify(vec![day(1)]).await[0].as_ref().unwrap();
    fixture.advance(Duration::from_millis(24 * 3_600_000 - 1));
    assert_eq!(fixture.notify(vec![day(2)]).await[0].as_ref().unwrap().id, id(1));
    fixture.advance(Duration::from_millis(1));
    assert_eq!(fixture.notify(vec![day(3)]).await[0].as_ref().unwrap().id, id(3));
    assert_eq!(fixture.pending(alice).await, [id(1), id(3)]);
}

#[tokio::test]
async fn a_refused_notification_does_not_use_its_key() {
    let fixture = Fixture::new().await;
    fixture.user_with_grant("bob", 2).await;
    let puid = Puid::from_bits(1);
    assert_eq!(fixture.notify(vec![keyed(1, puid, "hi")]).await, [Err(NotifyError::UnknownUid)]);
    fixture.user_with_grant("alice", 1).await;
    assert_eq!(fixture.notify(vec![keyed(2, puid, "hi")]).await[0].as_ref().unwrap().id, id(2));
}

#[tokio::test]
async fn an_expired_notification_is_not_delivered_and_gets_its_receipt_once() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.queue(1, puid).await;
    fixture.advance(HOUR);
    fixture.queue(2, puid).await;
    fixture.take_events();
    assert_eq!(fixture.pending(alice).await, [id(2)]);
    assert_eq!(fixture.writer.expire().await.unwrap(), 1);
    assert_eq!(fixture.writer.expire().await.unwrap(), 0);
    assert_eq!(fixture.receipts(), [(id(1), Expired)]);
}

#[tokio::test]
async fn sequence_numbers_are_never_reused() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.queue(1, puid).await;
    let before = fixture.load(alice).await.up_to;
    fixture.writer.settle(alice, vec![id(1)], Settlement::Delivered).await.unwrap();
    let fixture = fixture.reopen().await;
    fixture.queue(2, puid).await;
    assert!(fixture.load(alice).await.pending[0].seq > before);
}
