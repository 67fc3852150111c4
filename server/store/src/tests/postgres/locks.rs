//! The locks of rows, by which servers of one database do not wait for each other for ever.

use std::fmt::Debug;
use std::pin::{Pin, pin};
use std::time::Duration;

use presence_protocol::AppId;
use presence_protocol::app::ReceiptState;
use presence_test_postgres::Cluster;
use sea_orm::ConnectionTrait;
use tokio::time::sleep;

use super::super::fixture::{APP, Fixture, NOW, id};
use super::commits::begin;
use crate::NewChecks;

/// Locks the rosters of all users, as the change of a grant does.
const ROSTERS: &str = "INSERT INTO live_users (user_id, rev, roster, due_at) \
                       SELECT id, 1, '', 0 FROM users ON CONFLICT (user_id) \
                       DO UPDATE SET rev = live_users.rev";

#[tokio::test]
async fn an_application_is_removed_in_the_order_in_which_others_lock_rows() {
    let [grants, notifications] = [("grants", "id"), ("notifications", "seq")];
    let cases = [
        // A new grant locks the key of the Application, and the change of a grant its user.
        ("SELECT 1 FROM apps FOR KEY SHARE".to_owned(), lock(grants.0, grants.1, "")),
        (ROSTERS.to_owned(), lock(grants.0, grants.1, "")),
        (lock(grants.0, grants.1, ""), lock(grants.0, grants.1, "DESC")),
        (
            lock(notifications.0, notifications.1, ""),
            lock(notifications.0, notifications.1, "DESC"),
        ),
    ];
    for (first, next) in cases {
        let fixture = Fixture::on_postgres().await;
        // A scan finds the grant with the smaller number last, whatever the plan.
        let (_, bob) = fixture.user_with_grant("bob", 1).await;
        let (_, alice) = fixture.user_with_grant("alice", 2).await;
        fixture.sql(&format!("UPDATE grants SET id = 0 WHERE puid = '{alice}'")).await;
        fixture.queue(1, alice).await;
        fixture.queue(2, bob).await;
        let other = begin(&fixture, &first).await;
        let mut removed = pin!(fixture.writer.remove_app(APP));
        wait_for_a_lock(&fixture, &mut removed).await;
        let locked = other.execute_unprepared(&next).await;
        assert!(locked.is_ok(), "{first} {next}: {locked:?}");
        other.commit().await.unwrap();
        assert!(removed.await.unwrap());
    }
}

#[tokio::test]
async fn a_notification_that_another_server_accepts_while_its_grant_ends_has_a_receipt() {
    let fixture = Fixture::on_postgres().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.queue(1, puid).await;
    fixture.take_events();
    let accept = format!(
        "WITH locked AS (SELECT id FROM grants FOR NO KEY UPDATE) INSERT INTO notifications \
         (seq, id, grant_id, message, action, sent_at, expires_at, live_only, source, state) \
         SELECT seq + 1, '{}', n.grant_id, message, action, sent_at, expires_at, live_only, source, \
         state FROM notifications n JOIN locked ON locked.id = n.grant_id",
        id(2)
    );
    let other = begin(&fixture, &accept).await;
    let mut reply = pin!(fixture.writer.revoke(alice, APP));
    wait_for_a_lock(&fixture, &mut reply).await;
    other.commit().await.unwrap();
    reply.await.unwrap().unwrap();
    let receipts = [(id(1), ReceiptState::Revoked), (id(2), ReceiptState::Revoked)];
    assert_eq!(fixture.receipts(), receipts);
}

#[tokio::test]
async fn checks_are_recorded_once_their_grants_and_applications_are_locked() {
    let cases = [
        ("grants WHERE puid = '{alice}'", "live_checks", "grant_id"),
        ("apps WHERE id = '{app}'", "live_app_checks", "app"),
    ];
    for (first, next, key) in cases {
        let fixture = Fixture::on_postgres().await;
        let other_app = AppId::from_bits(7);
        let (user, bob) = fixture.user_with_grant("bob", 1).await;
        fixture.app(other_app, user).await;
        let (_, alice) = fixture.user_with_grant("alice", 2).await;
        let live = fixture.store.live().unwrap();
        // The rows of one are known, and locked by an update. Those of the other are new.
        let known = NewChecks { of_all: [(APP, NOW)].into(), of_user: [((APP, bob), NOW)].into() };
        live.record_checks(&known).await.unwrap();
        let first = first.replace("{alice}", &alice.to_string());
        let first = first.replace("{app}", &other_app.to_string());
        let other = begin(&fixture, &format!("SELECT 1 FROM {first} FOR UPDATE")).await;
        let both = NewChecks {
            of_all: [(APP, NOW), (other_app, NOW)].into(),
            of_user: [((APP, bob), NOW), ((APP, alice), NOW)].into(),
        };
        let mut recorded = pin!(live.record_checks(&both));
        wait_for_a_lock(&fixture, &mut recorded).await;
        let locked = other.execute_unprepared(&lock(next, key, "")).await;
        assert!(locked.is_ok(), "{first}: {locked:?}");
        other.commit().await.unwrap();
        recorded.await.unwrap();
    }
}

/// Returns a statement that locks the first row of a table, or the last.
fn lock(table: &str, key: &str, end: &str) -> String {
    format!("SELECT 1 FROM {table} ORDER BY {key} {end} LIMIT 1 FOR UPDATE NOWAIT")
}

/// Waits until a request waits for a lock of another transaction.
async fn wait_for_a_lock<T: Debug>(
    fixture: &Fixture,
    request: &mut Pin<&mut impl Future<Output = T>>,
) {
    let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted";
    while Cluster::shared().run_sql(&fixture.database_name(), waits).trim() == "0" {
        tokio::select! {
            done = &mut *request => panic!("nothing was waited for: {done:?}"),
            () = sleep(Duration::from_millis(5)) => {}
        }
    }
}
