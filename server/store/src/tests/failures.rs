//! Failures of the database, and many requests at once.

use std::collections::HashSet;
use std::sync::Arc;

use presence_core::ManualClock;
use presence_core::model::{Settlement, UserId};
use presence_protocol::app::ReceiptState::Acked;
use presence_protocol::{AppId, Puid};
use sea_orm::{ConnectionTrait, Database};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::fixture::{APP, Fixture, app, id, item, url};
use crate::{CommitHook, CommittedEvent, StoreError, Writer, as_one_call};

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
async fn on_a_full_disk_writes_fail_loads_succeed_and_free_space_recovers() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.queue(1, puid).await;
    let mut refused = 0;
    for n in 0..300 {
        // The limit belongs to the connection, which is a new one after a rolled back transaction.
        fixture.sql("PRAGMA max_page_count = 1").await;
        let mut large = item(1000 + n, puid);
        large.message = "é".repeat(512);
        match fixture.writer.notify(APP, vec![large]).await {
            Ok(_) => {}
            Err(StoreError::Unavailable(_)) => refused += 1,
            Err(error) => panic!("{error:?}"),
        }
        fixture.load(alice).await;
    }
    assert!(refused > 0);
    fixture.sql("PRAGMA max_page_count = 1000000").await;
    fixture.queue(2, puid).await;
    assert_eq!(fixture.pending(alice).await.last(), Some(&id(2)));
}

#[tokio::test]
async fn while_writes_fail_loads_succeed() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.queue(1, puid).await;
    fixture.sql("PRAGMA query_only = ON").await;
    let notify = fixture.writer.notify(APP, vec![item(2, puid)]);
    let load = fixture.writer.load(alice);
    let settle = fixture.writer.settle(alice, vec![id(1)], Settlement::Acked);
    assert!(matches!(notify.await, Err(StoreError::Unavailable(_))));
    let loaded = load.await.unwrap();
    assert_eq!(loaded.pending.len(), 1);
    assert_eq!(loaded.up_to, loaded.pending[0].seq, "a failed write changes nothing");
    assert!(matches!(settle.await, Err(StoreError::Unavailable(_))));
    fixture.sql("PRAGMA query_only = OFF").await;
    fixture.queue(2, puid).await;
    assert_eq!(fixture.pending(alice).await, [id(1), id(2)]);
}

#[tokio::test]
async fn while_another_process_locks_the_file_loads_do_not_wait_and_late_writes_are_dropped() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    let other = Database::connect(url(&fixture.dir)).await.unwrap();
    other.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
    let mut writes: JoinSet<_> = (0..100)
        .map(|n| fixture.writer.notify(APP, vec![item(n, puid)]))
        .map(async |write| assert!(matches!(write.await, Err(StoreError::TooLate))))
        .collect();
    let app = app(AppId::from_bits(2), alice);
    for _ in 0..20 {
        fixture.load(alice).await;
        assert_eq!(fixture.store.keys_of(APP).await.unwrap(), []);
    }
    assert!(writes.try_join_next().is_none(), "the writes still wait");
    let direct = as_one_call(async {
        let first = fixture.store.insert_app(&app, 9).await;
        (first, fixture.store.set_devices_connected(true).await)
    });
    assert!(matches!(direct.await, (Err(StoreError::TooLate), Err(StoreError::TooLate))));
    writes.join_all().await;
    other.execute_unprepared("ROLLBACK").await.unwrap();
    fixture.queue(200, puid).await;
    assert_eq!(fixture.pending(alice).await, [id(200)], "what was too late is never done");
    assert!(fixture.store.apps_of(alice).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_write_is_done_once_the_lock_of_another_process_is_gone() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    let other = Database::connect(url(&fixture.dir)).await.unwrap();
    other.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
    let notify = fixture.writer.notify(APP, vec![item(1, puid)]);
    let (app, store) = (app(AppId::from_bits(2), alice), fixture.store.clone());
    let direct = async { store.insert_app(&app, 9).await.unwrap() };
    let release = async {
        fixture.load(alice).await;
        other.execute_unprepared("ROLLBACK").await.unwrap();
    };
    let (queued, inserted, ()) = tokio::join!(notify, direct, release);
    assert!(queued.unwrap()[0].is_ok() && inserted);
    assert_eq!(fixture.pending(alice).await, [id(1)]);
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
