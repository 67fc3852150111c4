//! Queueing: durability, the order, the bound, time to live, idempotency.

use std::time::Duration;

use presence_core::model::Settlement;
use presence_protocol::app::ReceiptState::{Dropped, Expired};
use presence_protocol::limits::QUEUE_ITEMS;
use presence_protocol::{AppId, Puid};

use super::house::{APP, HOUR, House, NOW, id, item, receipt};
use crate::{CommittedEvent, NewNotification, NotifyError, Reachability};

#[tokio::test]
async fn an_ok_means_that_it_is_in_the_file() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    let mut sent = item(7, puid);
    sent.action = "https://chess.example/7".to_owned();
    house.notify(vec![sent]).await[0].as_ref().unwrap();

    let house = house.reopen().await;
    let pending = house.load(alice).await.pending;
    let [found] = pending.as_slice() else { panic!("{pending:?}") };
    assert_eq!((found.id, found.app, found.puid, found.user), (id(7), APP, puid, alice));
    assert_eq!((&*found.source, &*found.message), ("Chess", "message 7"));
    assert_eq!(&*found.action, "https://chess.example/7");
    assert_eq!((found.sent_at, found.expires_at), (NOW, NOW + HOUR));
}

#[tokio::test]
async fn what_was_queued_is_handed_out_after_the_commit() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    house.queue(7, puid).await;
    let done = house.done();
    let [CommittedEvent::Queued(queued)] = done.as_slice() else { panic!("{done:?}") };
    assert_eq!(house.load(alice).await.pending, std::slice::from_ref(queued));
    assert_eq!(house.load(alice).await.up_to, queued.seq);
}

#[tokio::test]
async fn a_queue_keeps_the_order_of_acceptance() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    // The ids fall, so that they cannot be what the order comes from.
    let answers: Vec<_> =
        (0..50).map(|n| house.writer.notify(APP, vec![item(100 - n, puid)])).collect();
    for answer in answers {
        answer.await.unwrap()[0].as_ref().unwrap();
    }
    let expected: Vec<_> = (0..50).map(|n| id(100 - n)).collect();
    assert_eq!(house.pending(alice).await, expected);
}

#[tokio::test]
async fn each_item_is_answered_by_itself() {
    let house = House::new().await;
    let (_, alice) = house.granted("alice", 1).await;
    let (_, bob) = house.granted("bob", 2).await;
    let stranger = Puid::from_bits(3);
    let answers = house.notify(vec![item(1, alice), item(2, stranger), item(3, bob)]).await;
    assert!(answers[0].is_ok() && answers[2].is_ok());
    assert_eq!(answers[1], Err(NotifyError::UnknownUid));
}

#[tokio::test]
async fn the_uid_of_another_application_is_unknown() {
    let house = House::new().await;
    let (_, puid) = house.granted("alice", 1).await;
    let other = AppId::from_bits(0xb);
    house.app(other, house.user("owner").await).await;
    let answers = house.writer.notify(other, vec![item(1, puid)]).await.unwrap();
    assert_eq!(answers, [Err(NotifyError::UnknownUid)]);
}

#[tokio::test]
async fn a_full_queue_drops_the_oldest_with_receipts() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    let (_, bob) = house.granted("bob", 2).await;
    house.queue(9_999, bob).await;
    for n in 1..=100 {
        assert_eq!(u128::from(house.queue(n, puid).await), n);
    }
    assert!(house.receipts().is_empty());
    assert_eq!(house.queue(101, puid).await, 100);
    assert_eq!(house.queue(102, puid).await, 100);
    assert_eq!(house.receipts(), [(id(1), Dropped), (id(2), Dropped)]);
    assert_eq!(house.pending(alice).await, (3..=102).map(id).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_batch_larger_than_the_queue_leaves_its_newest_items() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    house.queue(1, puid).await;
    house.done();
    let answers = house.notify((2..=150).map(|n| item(n, puid)).collect()).await;
    let sizes: Vec<_> = answers.iter().map(|answer| answer.as_ref().unwrap().queue_size).collect();
    assert_eq!(sizes[0], 2);
    assert_eq!(sizes[148], 100);
    assert_eq!(house.pending(alice).await, (51..=150).map(id).collect::<Vec<_>>());
    let done = house.done();
    assert_eq!(
        done.iter().filter(|done| matches!(done, CommittedEvent::Queued(_))).count(),
        QUEUE_ITEMS
    );
    let dropped: Vec<_> = done.iter().filter_map(receipt).collect();
    assert_eq!(dropped, (1..=50).map(|n| (id(n), Dropped)).collect::<Vec<_>>());
}

#[tokio::test]
async fn withheld_items_count_in_the_queue_and_can_be_dropped() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    house.set_reach(puid, Reachability::Unseen);
    house.queue(1, puid).await;
    assert_eq!(house.writer.settle(alice, vec![id(1)], Settlement::Acked).await.unwrap(), 1);
    assert_eq!(house.queue(2, puid).await, 2);
    house.done();
    house.notify((3..=101).map(|n| item(n, puid)).collect()).await;
    assert_eq!(house.receipts(), [(id(1), Dropped)]);
    assert_eq!(house.writer.release(APP, puid).await.unwrap(), 0);
}

fn live(bits: u128, puid: Puid) -> NewNotification {
    NewNotification { ttl: 0, ..item(bits, puid) }
}

#[tokio::test]
async fn for_now_only_goes_to_a_connected_device_and_to_no_later_one() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    house.queue(1, puid).await;
    house.done();
    let answers = house.notify(vec![live(2, puid)]).await;
    assert_eq!(answers[0].as_ref().unwrap().queue_size, 2);
    let done = house.done();
    assert!(
        matches!(done.as_slice(), [CommittedEvent::Queued(queued)] if queued.id == id(2)),
        "{done:?}"
    );
    assert_eq!(house.pending(alice).await, [id(1)]);
    assert_eq!(house.writer.settle(alice, vec![id(2)], Settlement::Acked).await.unwrap(), 1);
}

#[tokio::test]
async fn for_now_only_expires_after_a_minute_without_an_acknowledgement() {
    let house = House::new().await;
    let (_, puid) = house.granted("alice", 1).await;
    house.notify(vec![live(2, puid)]).await;
    house.pass(Duration::from_millis(59_999));
    assert_eq!(house.writer.expire().await.unwrap(), 0);
    house.pass(Duration::from_millis(1));
    assert_eq!(house.writer.expire().await.unwrap(), 1);
    assert_eq!(house.receipts(), [(id(2), Expired)]);
}

#[tokio::test]
async fn for_now_only_is_dropped_where_no_device_is_seen_and_answered_alike() {
    for reach in [Reachability::Seen, Reachability::Unseen] {
        let house = House::new().await;
        let (alice, puid) = house.granted("alice", 1).await;
        house.set_reach(puid, reach);
        house.queue(1, puid).await;
        house.done();
        let mut sent = live(2, puid);
        sent.idempotency_key = Some("k".to_owned());
        let answers = house.notify(vec![sent.clone()]).await;
        let answer = answers[0].as_ref().unwrap();
        assert_eq!((answer.id, answer.queue_size), (id(2), 1), "{reach:?}");
        assert_eq!(house.receipts(), [(id(2), Dropped)]);
        assert_eq!(house.pending(alice).await, [id(1)]);

        sent.id = id(3);
        assert_eq!(house.notify(vec![sent]).await, answers, "the key is remembered all the same");
        assert!(house.done().is_empty());
    }
}

#[tokio::test]
async fn for_now_only_is_dropped_by_a_paused_grant() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    house.writer.pause(alice, APP, true).await.unwrap();
    house.notify(vec![live(2, puid)]).await[0].as_ref().unwrap();
    assert_eq!(house.receipts(), [(id(2), Dropped)]);
}

fn keyed(bits: u128, puid: Puid, message: &str) -> NewNotification {
    let idempotency_key = Some("key".to_owned());
    NewNotification { message: message.to_owned(), idempotency_key, ..item(bits, puid) }
}

#[tokio::test]
async fn the_same_key_is_answered_as_the_first_time_also_after_a_restart() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    let first = house.notify(vec![keyed(1, puid, "hi")]).await;
    house.queue(2, puid).await;
    assert_eq!(house.notify(vec![keyed(3, puid, "hi")]).await, first);
    let house = house.reopen().await;
    assert_eq!(house.notify(vec![keyed(4, puid, "hi")]).await, first);
    assert!(house.done().is_empty());
    assert_eq!(house.pending(alice).await, [id(1), id(2)]);
}

#[tokio::test]
async fn another_body_under_the_same_key_is_refused() {
    let house = House::new().await;
    let (_, puid) = house.granted("alice", 1).await;
    house.notify(vec![keyed(1, puid, "hi")]).await[0].as_ref().unwrap();
    let other_action =
        NewNotification { action: "https://x.example".to_owned(), ..keyed(2, puid, "hi") };
    let other_ttl = NewNotification { ttl: 7, ..keyed(3, puid, "hi") };
    let answers = house.notify(vec![keyed(4, puid, "ho"), other_action, other_ttl]).await;
    assert_eq!(answers, vec![Err(NotifyError::IdempotencyMismatch); 3]);
}

#[tokio::test]
async fn keys_hold_within_a_batch_and_for_one_uid_only() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    let (bob, other) = house.granted("bob", 2).await;
    let answers = house
        .notify(vec![
            keyed(1, puid, "hi"),
            keyed(2, puid, "hi"),
            keyed(3, puid, "ho"),
            keyed(4, other, "ho"),
        ])
        .await;
    assert_eq!(answers[1], answers[0]);
    assert_eq!(answers[2], Err(NotifyError::IdempotencyMismatch));
    assert_eq!(house.pending(alice).await, [id(1)]);
    assert_eq!(house.pending(bob).await, [id(4)]);
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    let day = |bits| NewNotification { ttl: 2_592_000, ..keyed(bits, puid, "hi") };
    house.notify(vec![day(1)]).await[0].as_ref().unwrap();
    house.pass(24 * HOUR - Duration::from_millis(1));
    assert_eq!(house.notify(vec![day(2)]).await[0].as_ref().unwrap().id, id(1));
    house.pass(Duration::from_millis(1));
    assert_eq!(house.notify(vec![day(3)]).await[0].as_ref().unwrap().id, id(3));
    assert_eq!(house.pending(alice).await, [id(1), id(3)]);
}

#[tokio::test]
async fn a_refusal_is_not_remembered() {
    let house = House::new().await;
    house.granted("bob", 2).await;
    let puid = Puid::from_bits(1);
    assert_eq!(house.notify(vec![keyed(1, puid, "hi")]).await, [Err(NotifyError::UnknownUid)]);
    house.granted("alice", 1).await;
    assert_eq!(house.notify(vec![keyed(2, puid, "hi")]).await[0].as_ref().unwrap().id, id(2));
}

#[tokio::test]
async fn an_expired_notification_is_not_handed_out_and_gets_its_receipt_once() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    house.queue(1, puid).await;
    house.pass(HOUR);
    house.queue(2, puid).await;
    house.done();
    assert_eq!(house.pending(alice).await, [id(2)]);
    assert_eq!(house.writer.expire().await.unwrap(), 1);
    assert_eq!(house.writer.expire().await.unwrap(), 0);
    assert_eq!(house.receipts(), [(id(1), Expired)]);
}

#[tokio::test]
async fn sequence_numbers_are_never_used_again() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    house.queue(1, puid).await;
    let before = house.load(alice).await.up_to;
    house.writer.settle(alice, vec![id(1)], Settlement::Delivered).await.unwrap();
    let house = house.reopen().await;
    house.queue(2, puid).await;
    assert!(house.load(alice).await.pending[0].seq > before);
}
