//! Failures of the database, and many requests at once.

use std::collections::HashSet;
use std::sync::Arc;

use presence_core::ManualClock;
use presence_core::model::{Settlement, UserId};
use presence_protocol::app::ReceiptState::Acked;
use presence_protocol::{AppId, Puid};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::fixture::{APP, Fixture, id, item};
use crate::{CommitHook, CommittedEvent, StoreError, Writer};

#[tokio::test]
async fn only_the_failing_request_of_a_group_fails() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.queue(1, puid).await;
    let good = fixture.writer.notify(APP, vec![item(2, puid)]);
    let bad = fixture.writer.notify(APP, vec![item(3, puid), item(1, puid)]);
    let settled = fixture.writer.settle(alice, vec![id(1)], Settlement::Acked);
    let load = fixture.writer.load(alice);
    let later = fixture.writer.notify(APP, vec![item(4, puid), item(4, puid)]);
    assert!(good.await.unwrap()[0].is_ok());
    assert!(matches!(bad.await, Err(StoreError::Unavailable(_))), "its id exists already");
    assert_eq!(settled.await.unwrap(), 1);
    load.await.unwrap();
    assert!(matches!(later.await, Err(StoreError::Unavailable(_))));
    assert_eq!(fixture.pending(alice).await, [id(2)]);
    assert_eq!(fixture.receipts(), [(id(1), Acked)]);
}

#[tokio::test]
async fn a_corrupt_row_is_an_error_and_no_panic() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.queue(1, puid).await;
    fixture.sql("UPDATE apps SET state = 'asleep'").await;
    assert!(matches!(fixture.writer.load(alice).await, Err(StoreError::CorruptRow("apps"))));
    fixture.sql("UPDATE apps SET state = 'active'").await;
    assert_eq!(fixture.pending(alice).await, [id(1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_256_senders_are_answered_and_nothing_is_lost() {
    let fixture = Fixture::new().await;
    let mut users = Vec::new();
    for n in 0..16 {
        users.push(fixture.user_with_grant(&format!("user{n}"), n + 1).await);
    }
    let mut senders = JoinSet::new();
    for n in 0..256_u128 {
        let writer = fixture.writer.clone();
        let (_, puid) = users[usize::try_from(n % 16).unwrap()];
        senders.spawn(async move {
            for m in 0..4 {
                let answer = writer.notify(APP, vec![item(n * 10 + m, puid)]).await.unwrap();
                assert_eq!(answer[0].as_ref().unwrap().id, id(n * 10 + m));
            }
        });
    }
    while let Some(sent) = senders.join_next().await {
        sent.unwrap();
    }
    let fixture = fixture.reopen().await;
    let mut found = HashSet::new();
    for (user, _) in users {
        found.extend(fixture.pending(user).await);
    }
    assert_eq!(found, (0..256).flat_map(|n| (0..4).map(move |m| id(n * 10 + m))).collect());
}

#[tokio::test]
async fn a_full_queue_refuses_instead_of_growing() {
    let fixture = Fixture::new().await;
    let (alice, _) = fixture.user_with_grant("alice", 1).await;
    // The test does not yield, so the task cannot take requests from the queue meanwhile.
    let answers: Vec<_> = (0..Writer::CAPACITY)
        .map(|_| fixture.writer.settle(alice, vec![], Settlement::Acked))
        .collect();
    let one_more = fixture.writer.settle(alice, vec![], Settlement::Acked).await;
    assert!(matches!(one_more, Err(StoreError::QueueFull)));
    for answer in answers {
        answer.await.unwrap();
    }
}

#[tokio::test]
async fn a_submitted_request_is_done_even_if_its_reply_is_dropped() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    for n in 0..50 {
        drop(fixture.writer.notify(APP, vec![item(n, puid)]));
    }
    let fixture = fixture.reopen().await;
    assert_eq!(fixture.pending(alice).await.len(), 50);
}

#[tokio::test]
async fn a_writer_without_its_task_returns_stopped() {
    let fixture = Fixture::new().await;
    let (alice, _) = fixture.user_with_grant("alice", 1).await;
    let clock = Arc::new(ManualClock::default());
    let (writer, task) = Writer::new(&fixture.store, Arc::new(NoHook(Notify::new())), clock);
    let waiting = writer.load(alice);
    drop(task);
    assert!(matches!(waiting.await, Err(StoreError::Stopped)));
    assert!(matches!(writer.load(alice).await, Err(StoreError::Stopped)));
}

struct NoHook(Notify);

impl CommitHook for NoHook {
    fn grants_with_immediate_receipts(&self, _: UserId) -> Vec<Puid> {
        Vec::new()
    }

    fn is_reachable(&self, _: AppId, _: Puid, _: UserId) -> bool {
        false
    }

    fn take_releases(&self, _: usize) -> Vec<(AppId, Puid)> {
        Vec::new()
    }

    fn releases_failed(&self, _: Vec<(AppId, Puid)>) {}

    fn release_signal(&self) -> &Notify {
        &self.0
    }

    fn committed(&self, _: &[CommittedEvent]) {}
}
