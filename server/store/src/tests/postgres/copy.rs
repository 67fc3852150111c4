//! The copy of a SQLite database to PostgreSQL.

use presence_core::UserId;
use presence_core::model::{CredentialGeneration, Session, Settlement};
use presence_test_postgres::Cluster;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tempfile::TempDir;

use super::super::fixture::{APP, Fixture, NOW, id, item, session};
use crate::copy::TABLES;
use crate::{DatabaseCopy, Store, StoreError};

/// Fills a SQLite database with rows of every table, and returns its folder and URL.
async fn filled() -> (TempDir, String) {
    let fixture = Fixture::on_sqlite().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    let (bob, of_bob) = fixture.user_with_grant("bob", 2).await;
    let generation = CredentialGeneration { issuer: "idp.example".into(), number: 7 };
    fixture.store.record_generation(alice, &generation).await.unwrap();
    let session = Session { generation: Some(generation), ..session(alice, 1) };
    fixture.insert_session(&session).await;
    fixture.insert_key(1).await;
    let with_key = |n, puid| crate::NewNotification {
        idempotency_key: Some(format!("key {n}")),
        ..item(n, puid)
    };
    fixture.notify((1..=1_500).map(|n| with_key(n, puid)).collect()).await;
    fixture.notify(vec![with_key(2_000, of_bob)]).await;
    fixture.writer.settle(bob, vec![id(2_000)], Settlement::Acked).await.unwrap();
    fixture.writer.pause(bob, APP, true).await.unwrap();
    let sql = format!("INSERT INTO ended_assertions VALUES (x'{}', {}, 5)", "ab".repeat(32), bob.0);
    fixture.sql(&sql).await;
    fixture.sql("INSERT INTO acme VALUES ('account', 'directory', x'0102', NULL)").await;
    fixture.store.set_devices_connected(true).await.unwrap();
    let url = format!("sqlite://{}", fixture.dir.path().join("presence.db").display());
    (fixture.close().await, url)
}

/// Returns all rows of a table as text, the same for both databases.
async fn rows<C: ConnectionTrait>(db: &C, backend: DbBackend, table: &str) -> Vec<String> {
    // The columns in the order of SQLite, each as the driver reads it from JSON.
    let sql = match (backend, table) {
        (DbBackend::Sqlite, "users") => {
            "SELECT id || '|' || email || '|' || revision || '|' || created_at FROM users"
        }
        (_, "users") => "SELECT concat_ws('|', id, email, revision, created_at) FROM users",
        (DbBackend::Sqlite, "notifications") => {
            "SELECT seq || '|' || id || '|' || grant_id || '|' || message || '|' || expires_at || '|' || state \
             FROM notifications"
        }
        (_, "notifications") => {
            "SELECT concat_ws('|', seq, id, grant_id, message, expires_at, state) FROM notifications"
        }
        (DbBackend::Sqlite, "sessions") => {
            "SELECT lower(hex(digest)) || '|' || user_id || '|' || scope || '|' || issuer || '|' || generation \
             FROM sessions"
        }
        (_, "sessions") => {
            "SELECT concat_ws('|', encode(digest, 'hex'), user_id, scope, issuer, generation) FROM sessions"
        }
        (DbBackend::Sqlite, "grants") => {
            "SELECT id || '|' || puid || '|' || app_id || '|' || user_id || '|' || paused || '|' || domain FROM grants"
        }
        (_, "grants") => {
            "SELECT concat_ws('|', id, puid, app_id, user_id, paused::int, domain) FROM grants"
        }
        (DbBackend::Sqlite, "idempotency") => {
            "SELECT grant_id || '|' || \"key\" || '|' || lower(hex(body_digest)) || '|' || queue_size FROM idempotency"
        }
        (_, "idempotency") => {
            "SELECT concat_ws('|', grant_id, key, encode(body_digest, 'hex'), queue_size) FROM idempotency"
        }
        (DbBackend::Sqlite, "acme") => {
            "SELECT kind || '|' || name || '|' || lower(hex(content)) FROM acme"
        }
        (_, "acme") => "SELECT concat_ws('|', kind, name, encode(content, 'hex')) FROM acme",
        _ => return Vec::new(),
    };
    let found = db.query_all_raw(Statement::from_string(backend, sql)).await.unwrap();
    let mut rows: Vec<String> = found.iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
    rows.sort_unstable();
    rows
}

#[tokio::test]
async fn a_copy_has_all_rows_and_numbers_and_epochs_go_on() {
    let (_dir, url) = filled().await;
    let to = Cluster::shared().create_database();
    let DatabaseCopy(copied) = Store::copy(&url, &to, NOW).await.unwrap();
    let counts: Vec<u64> = copied.iter().map(|(_, rows)| *rows).collect();
    assert!(counts.iter().all(|rows| *rows > 0), "{copied:?}");
    let source = Store::open(&url, NOW).await.unwrap();
    let target = Store::open(&to, NOW).await.unwrap();
    for (table, count) in &copied {
        let count_rows = format!("SELECT count(*) FROM {table}");
        let query = Statement::from_string(DbBackend::Postgres, count_rows);
        let row = target.read().pool().query_one_raw(query).await.unwrap().unwrap();
        assert_eq!(row.try_get_by_index::<i64>(0).unwrap(), i64::try_from(*count).unwrap());
        let before = rows(source.read().pool(), DbBackend::Sqlite, table).await;
        let after = rows(target.read().pool(), DbBackend::Postgres, table).await;
        assert_eq!(before, after, "{table}");
    }
    assert!(target.had_devices_connected());
    assert!(target.epoch() > source.epoch() - 1);
    let highest = UserId(3);
    let email = presence_core::Email::parse("new@b.example").unwrap();
    assert!(target.find_or_create_user(&email, NOW).await.unwrap() > highest);
    let (session, _) = target.session_with_email([1; 32], NOW).await.unwrap().unwrap();
    assert_eq!(session.generation.unwrap().number, 7);
    let query = Statement::from_string(
        DbBackend::Postgres,
        "SELECT nextval(pg_get_serial_sequence('notifications', 'seq'))",
    );
    let next = target.write().pool().query_one_raw(query).await.unwrap().unwrap();
    assert!(next.try_get_by_index::<i64>(0).unwrap() > 1_501, "no number is given twice");
    for store in [source, target] {
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_copy_refuses_a_database_in_use_or_with_users_and_every_other_direction() {
    let (_dir, url) = filled().await;
    let to = Cluster::shared().create_database();
    let refused = async |from: &str, to: &str| Store::copy(from, to, NOW).await.unwrap_err();
    let server = Store::open(&url, NOW).await.unwrap();
    assert!(matches!(refused(&url, &to).await, StoreError::InUse(_)));
    server.close().await.unwrap();
    let server = Store::open(&to, NOW).await.unwrap();
    assert!(matches!(refused(&url, &to).await, StoreError::InUse(_)));
    server.close().await.unwrap();
    Store::copy(&url, &to, NOW).await.unwrap();
    assert!(matches!(refused(&url, &to).await, StoreError::NotEmpty(_)));
    for (from, to) in [(&url, &url), (&to, &to), (&to, &url)] {
        assert!(matches!(refused(from, to).await, StoreError::NoCopy));
    }
    let missing = "sqlite:///nowhere/presence.db?mode=rwc";
    assert!(matches!(refused(missing, &to).await, StoreError::NoDirectory(_)));
}

#[tokio::test]
async fn a_copy_that_breaks_leaves_no_row_and_can_be_repeated() {
    let (_dir, url) = filled().await;
    let to = Cluster::shared().create_database();
    let target = Store::open(&to, NOW).await.unwrap();
    let break_it = "ALTER TABLE idempotency ADD CONSTRAINT broken CHECK (queue_size < 0)";
    target.write().pool().execute_unprepared(break_it).await.unwrap();
    target.close().await.unwrap();
    let error = Store::copy(&url, &to, NOW).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    let target = Store::open(&to, NOW).await.unwrap();
    for (table, _) in TABLES {
        let query = Statement::from_string(DbBackend::Postgres, format!("SELECT 1 FROM {table}"));
        assert!(target.read().pool().query_all_raw(query).await.unwrap().is_empty(), "{table}");
    }
    let mend = "ALTER TABLE idempotency DROP CONSTRAINT broken";
    target.write().pool().execute_unprepared(mend).await.unwrap();
    target.close().await.unwrap();
    Store::copy(&url, &to, NOW).await.unwrap();
}

#[tokio::test]
async fn a_copy_knows_every_table() {
    let (_dir, url) = filled().await;
    let source = Store::open(&url, NOW).await.unwrap();
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let query = Statement::from_string(DbBackend::Sqlite, sql);
    let found = source.read().pool().query_all_raw(query).await.unwrap();
    let mut found: Vec<String> = found.iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
    found.retain(|name| !["meta", "seaql_migrations"].contains(&name.as_str()));
    let mut known: Vec<&str> = TABLES.iter().map(|(table, _)| *table).collect();
    found.sort_unstable();
    known.sort_unstable();
    assert_eq!(found, known);
    source.close().await.unwrap();
}
