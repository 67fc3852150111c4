//! What happens when the database fails, and when everybody comes at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use presence_core::ManualClock;
use presence_core::model::{Settlement, UserId};
use presence_protocol::app::ReceiptState::Acked;
use presence_protocol::{AppId, Puid};
use sea_orm::{ConnectionTrait, Database};
use tokio::task::JoinSet;

use super::house::{APP, House, id, item, url};
use crate::{CommitHook, CommittedEvent, Reachability, StoreError, Writer};

#[tokio::test]
async fn of_a_group_only_the_culprit_fails() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    house.queue(1, puid).await;
    let good = house.writer.notify(APP, vec![item(2, puid)]);
    let bad = house.writer.notify(APP, vec![item(3, puid), item(1, puid)]);
    let settled = house.writer.settle(alice, vec![id(1)], Settlement::Acked);
    let load = house.writer.load(alice);
    let later = house.writer.notify(APP, vec![item(4, puid), item(4, puid)]);
    assert!(good.await.unwrap()[0].is_ok());
    assert!(matches!(bad.await, Err(StoreError::Unavailable(_))), "its id is there already");
    assert_eq!(settled.await.unwrap(), 1);
    load.await.unwrap();
    assert!(matches!(later.await, Err(StoreError::Unavailable(_))));
    assert_eq!(house.pending(alice).await, [id(2)]);
    assert_eq!(house.receipts(), [(id(1), Acked)]);
}

#[tokio::test]
async fn on_a_full_disk_writes_fail_loads_answer_and_room_mends_it() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    house.queue(1, puid).await;
    let mut refused = 0;
    for n in 0..300 {
        // Of the connection, which is another one after a failure that undid the transaction.
        house.sql("PRAGMA max_page_count = 1").await;
        let mut large = item(1000 + n, puid);
        large.message = "é".repeat(512);
        match house.writer.notify(APP, vec![large]).await {
            Ok(_) => {}
            Err(StoreError::Unavailable(_)) => refused += 1,
            Err(error) => panic!("{error:?}"),
        }
        house.load(alice).await;
    }
    assert!(refused > 0);
    house.sql("PRAGMA max_page_count = 1000000").await;
    house.queue(2, puid).await;
    assert_eq!(house.pending(alice).await.last(), Some(&id(2)));
}

#[tokio::test]
async fn while_nothing_can_be_written_loads_answer() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    house.queue(1, puid).await;
    house.sql("PRAGMA query_only = ON").await;
    let notify = house.writer.notify(APP, vec![item(2, puid)]);
    let load = house.writer.load(alice);
    let settle = house.writer.settle(alice, vec![id(1)], Settlement::Acked);
    assert!(matches!(notify.await, Err(StoreError::Unavailable(_))));
    let loaded = load.await.unwrap();
    assert_eq!(loaded.pending.len(), 1);
    assert_eq!(loaded.up_to, loaded.pending[0].seq, "a failed write leaves no trace");
    assert!(matches!(settle.await, Err(StoreError::Unavailable(_))));
    house.sql("PRAGMA query_only = OFF").await;
    house.queue(2, puid).await;
    assert_eq!(house.pending(alice).await, [id(1), id(2)]);
}

#[tokio::test]
async fn while_another_process_holds_the_file_writes_fail_soon_and_loads_answer() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    let other = Database::connect(url(&house.dir)).await.unwrap();
    other.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
    let writes: Vec<_> = (0..100).map(|n| house.writer.notify(APP, vec![item(n, puid)])).collect();
    let load = house.writer.load(alice);
    let started = tokio::time::Instant::now();
    for write in writes {
        assert!(matches!(write.await, Err(StoreError::Unavailable(_))));
    }
    load.await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(3), "each waits 100 ms if alone");
    other.execute_unprepared("ROLLBACK").await.unwrap();
    house.queue(200, puid).await;
}

#[tokio::test]
async fn a_row_that_makes_no_sense_is_an_error_and_no_panic() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    house.queue(1, puid).await;
    house.sql("UPDATE apps SET state = 'asleep'").await;
    assert!(matches!(house.writer.load(alice).await, Err(StoreError::Nonsense("apps"))));
    house.sql("UPDATE apps SET state = 'active'").await;
    assert_eq!(house.pending(alice).await, [id(1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_256_senders_are_answered_and_nothing_is_lost() {
    let house = House::new().await;
    let mut users = Vec::new();
    for n in 0..16 {
        users.push(house.granted(&format!("user{n}"), n + 1).await);
    }
    let mut senders = JoinSet::new();
    for n in 0..256_u128 {
        let writer = house.writer.clone();
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
    let house = house.reopen().await;
    let mut found = HashSet::new();
    for (user, _) in users {
        found.extend(house.pending(user).await);
    }
    assert_eq!(found, (0..256).flat_map(|n| (0..4).map(move |m| id(n * 10 + m))).collect());
}

#[tokio::test]
async fn a_full_queue_refuses_instead_of_growing() {
    let house = House::new().await;
    let (alice, _) = house.granted("alice", 1).await;
    // The test does not yield, so the task cannot take anything out meanwhile.
    let answers: Vec<_> = (0..Writer::CAPACITY)
        .map(|_| house.writer.settle(alice, vec![], Settlement::Acked))
        .collect();
    let one_more = house.writer.settle(alice, vec![], Settlement::Acked).await;
    assert!(matches!(one_more, Err(StoreError::QueueFull)));
    for answer in answers {
        answer.await.unwrap();
    }
}

#[tokio::test]
async fn what_was_submitted_is_done_even_where_nobody_waits() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    for n in 0..50 {
        drop(house.writer.notify(APP, vec![item(n, puid)]));
    }
    let house = house.reopen().await;
    assert_eq!(house.pending(alice).await.len(), 50);
}

#[tokio::test]
async fn a_writer_whose_task_is_gone_says_so() {
    let house = House::new().await;
    let (alice, _) = house.granted("alice", 1).await;
    let clock = Arc::new(ManualClock::default());
    let (writer, task) = Writer::new(&house.store, Arc::new(Nobody), clock);
    let waiting = writer.load(alice);
    drop(task);
    assert!(matches!(waiting.await, Err(StoreError::Stopped)));
    assert!(matches!(writer.load(alice).await, Err(StoreError::Stopped)));
}

struct Nobody;

impl CommitHook for Nobody {
    fn reach(&self, _: AppId, _: Puid, _: UserId) -> Reachability {
        Reachability::Unseen
    }

    fn committed(&self, _: &[CommittedEvent]) {}
}
