//! The size of SQLite's log, which grows while somebody reads.

use sea_orm::{ConnectOptions, ConnectionTrait, Database};

use super::super::fixture::{NOW, url};
use crate::Store;

/// The limit of this test, so that it writes little.
const LIMIT: u64 = 256 * 1024;
/// One row of this size makes the log larger than the limit.
const ROW: &str = "INSERT INTO scratch (content) VALUES (zeroblob(524288))";

async fn pragma(store: &Store, text: &str) -> i64 {
    let statement = sea_orm::Statement::from_string(sea_orm::DbBackend::Sqlite, text);
    store.write().query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

#[tokio::test]
async fn after_a_long_reader_the_log_returns_to_its_limit() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&url(&dir), NOW).await.unwrap();
    assert_eq!(pragma(&store, "PRAGMA journal_size_limit").await, 64 * 1024 * 1024);
    assert!(pragma(&store, "PRAGMA wal_autocheckpoint").await > 0);
    // The rest is the same with small numbers.
    assert_eq!(pragma(&store, &format!("PRAGMA journal_size_limit = {LIMIT}")).await, 262_144);
    assert_eq!(pragma(&store, "PRAGMA wal_autocheckpoint = 10").await, 10);
    store.write().execute_unprepared("CREATE TABLE scratch (content BLOB)").await.unwrap();

    let log_bytes = || std::fs::metadata(dir.path().join("presence.db-wal")).unwrap().len();
    let mut one_connection = ConnectOptions::new(url(&dir));
    one_connection.max_connections(1);
    let reader = Database::connect(one_connection).await.unwrap();
    for statement in ["BEGIN", "SELECT count(*) FROM scratch"] {
        reader.execute_unprepared(statement).await.unwrap();
    }
    for _ in 0..4 {
        store.write().execute_unprepared(ROW).await.unwrap();
    }
    assert!(log_bytes() > 4 * LIMIT, "the reader does not hold the log");
    reader.execute_unprepared("ROLLBACK").await.unwrap();
    // The first write is followed by a checkpoint, and the second one begins the log anew.
    for connected in [true, false] {
        store.set_devices_connected(connected).await.unwrap();
    }
    assert!(log_bytes() <= LIMIT, "{} bytes", log_bytes());
}
