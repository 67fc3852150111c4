//! Commits of the writer whose answer is lost, and those that would come too late.

use std::pin::pin;
use std::time::Duration;

use presence_test_postgres::Cluster;
use sea_orm::{ConnectionTrait, DatabaseTransaction, TransactionTrait};
use tokio::time::sleep;

use super::super::fixture::{APP, DEADLINE, DOMAIN, Fixture, NOW, id, item};
use crate::{CommittedEvent, StoreError};

/// A replica that does not exist, so that a commit that waits for it is done and not answered.
const NO_REPLICA: &[&str] = &["synchronous_standby_names=nobody", "synchronous_commit=local"];

pub(super) async fn begin(fixture: &Fixture, statement: &str) -> DatabaseTransaction {
    let txn = fixture.store.read().pool().begin().await.unwrap();
    txn.execute_unprepared(statement).await.unwrap();
    txn
}

#[tokio::test]
async fn a_notification_whose_commit_got_no_answer_is_accepted_once() {
    let cluster = Cluster::start(NO_REPLICA);
    let fixture = Fixture::on_cluster(&cluster).await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    let database = fixture.database_name();
    let wait_for_replica = |setting: &str| {
        let sql = format!("ALTER DATABASE \"{database}\" {setting}");
        cluster.run_sql("postgres", &sql);
        cluster.end_connections(&database);
    };
    wait_for_replica("SET synchronous_commit = on");
    let mut reply = pin!(fixture.writer.notify(APP, vec![item(1, puid)]));
    let end_waiting = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                       WHERE wait_event = 'SyncRep'";
    while cluster.run_sql("postgres", end_waiting).trim() == "0" {
        tokio::select! {
            answers = &mut reply => panic!("no commit has waited: {answers:?}"),
            () = sleep(Duration::from_millis(5)) => {}
        }
    }
    assert_eq!(reply.await.unwrap()[0].as_ref().unwrap().id, id(1));
    wait_for_replica("RESET synchronous_commit");
    assert_eq!(fixture.pending(alice).await, [id(1)]);
    let events = fixture.take_events();
    assert!(matches!(events.as_slice(), [CommittedEvent::Queued(it)] if it.id == id(1)));
}

#[tokio::test]
async fn a_change_that_would_be_committed_after_its_deadline_is_not_done() {
    let fixture = Fixture::on_postgres().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    let first = "INSERT INTO live_users (user_id, rev, roster, due_at) SELECT id, 1, '', 0 \
                 FROM users ON CONFLICT (user_id) DO UPDATE SET rev = live_users.rev";
    let first = begin(&fixture, first).await;
    let second = begin(&fixture, "SELECT 1 FROM grants FOR UPDATE").await;
    let reply = fixture.writer.pause(alice, APP, true);
    // The statement that waits for the first lock is in time, the one for the second is not.
    sleep(DEADLINE.mul_f64(0.6)).await;
    first.rollback().await.unwrap();
    assert!(matches!(reply.await, Err(StoreError::TooLate)));
    second.rollback().await.unwrap();
    // The writer does one thing after the other.
    fixture.writer.grant(alice, (APP, DOMAIN), puid, NOW).await.unwrap().unwrap();
    let grant = fixture.store.grant(alice, APP).await.unwrap().unwrap();
    assert!(!grant.paused);
}
