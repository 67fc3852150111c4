//! A full disk, and a file that another process locks.

use presence_core::model::Settlement;
use presence_protocol::AppId;
use sea_orm::{ConnectionTrait, Database};
use tokio::task::JoinSet;

use super::super::fixture::{APP, Fixture, app, id, item, url};
use crate::{StoreError, as_one_call};

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
