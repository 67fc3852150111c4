//! Backups and looks at a database, beside a store that uses it.

use std::path::PathBuf;

use sea_orm::{ConnectionTrait, Database};

use super::house::{House, NOW, id, url};
use crate::{Store, StoreError};

fn place(house: &House) -> PathBuf {
    house.dir.path().join("backup.db")
}

#[tokio::test]
async fn a_backup_holds_what_was_committed_and_can_be_opened() {
    let house = House::new().await;
    let (alice, puid) = house.granted("alice", 1).await;
    house.queue(1, puid).await;
    let made = Store::back_up(&url(&house.dir), &place(&house)).await.unwrap();
    house.queue(2, puid).await;
    assert_eq!(made.schema, crate::migration::newest());
    assert_eq!(made.bytes, std::fs::metadata(place(&house)).unwrap().len());
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::copy(place(&house), elsewhere.path().join("presence.db")).unwrap();
    let restored = House::open(elsewhere, NOW).await;
    assert_eq!(restored.pending(alice).await, [id(1)]);
    assert_eq!(house.pending(alice).await, [id(1), id(2)]);
}

#[tokio::test]
async fn a_backup_overwrites_nothing_and_leaves_nothing_half() {
    let house = House::new().await;
    std::fs::write(place(&house), "older").unwrap();
    let refused = Store::back_up(&url(&house.dir), &place(&house)).await.unwrap_err();
    assert!(matches!(refused, StoreError::Exists(_)), "{refused}");
    assert_eq!(std::fs::read_to_string(place(&house)).unwrap(), "older");
    let nowhere = house.dir.path().join("nowhere/backup.db");
    let refused = Store::back_up(&url(&house.dir), &nowhere).await.unwrap_err();
    assert!(matches!(refused, StoreError::NotBackedUp(..)), "{refused}");
    let names = std::fs::read_dir(house.dir.path()).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains("backup-")), "{names:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_may_read_a_backup() {
    use std::os::unix::fs::PermissionsExt;
    let house = House::new().await;
    Store::back_up(&url(&house.dir), &place(&house)).await.unwrap();
    let mode = std::fs::metadata(place(&house)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_backup_of_no_database_of_presence_is_refused_and_makes_none() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("backup.db");
    let refused = Store::back_up(&url(&dir), &to).await.unwrap_err();
    assert!(matches!(refused, StoreError::Missing(_)), "{refused}");
    let other = Database::connect(url(&dir)).await.unwrap();
    other.execute_unprepared("CREATE TABLE diary (day TEXT)").await.unwrap();
    let refused = Store::back_up(&url(&dir), &to).await.unwrap_err();
    assert!(matches!(refused, StoreError::Foreign(_)), "{refused}");
    assert!(!to.exists());
}

#[tokio::test]
async fn a_look_tells_the_schema_and_whether_a_server_runs() {
    let house = House::new().await;
    let found = Store::inspect(&url(&house.dir)).await.unwrap();
    assert!(found.in_use);
    assert_eq!(found.schema.as_ref(), Some(&found.newest));
    house.store.close().await.unwrap();
    assert!(!Store::inspect(&url(&house.dir)).await.unwrap().in_use);
    let empty = tempfile::tempdir().unwrap();
    let found = Store::inspect(&url(&empty)).await.unwrap();
    assert_eq!((found.in_use, found.schema), (false, None));
    assert!(!empty.path().join("presence.db").exists(), "a look makes nothing");
}

#[tokio::test]
async fn a_look_changes_nothing_in_an_older_or_a_newer_database() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("presence.db");
    let older = Database::connect(url(&dir)).await.unwrap();
    let steps =
        "CREATE TABLE seaql_migrations (version TEXT PRIMARY KEY, applied_at BIGINT NOT NULL)";
    older.execute_unprepared(steps).await.unwrap();
    let step = "INSERT INTO seaql_migrations VALUES ('m0001_tables', 0)";
    older.execute_unprepared(step).await.unwrap();
    older.close_by_ref().await.unwrap();
    let before = std::fs::read(&file).unwrap();
    let found = Store::inspect(&url(&dir)).await.unwrap();
    assert_eq!(found.schema.as_deref(), Some("m0001_tables"));
    assert!(std::fs::read(&file).unwrap() == before, "it was changed");

    let newer = Database::connect(url(&dir)).await.unwrap();
    let step = "INSERT INTO seaql_migrations VALUES ('m9999_later', 0)";
    newer.execute_unprepared(step).await.unwrap();
    newer.close_by_ref().await.unwrap();
    let refused = Store::inspect(&url(&dir)).await.unwrap_err();
    assert!(matches!(&refused, StoreError::TooNew(name) if name == "m9999_later"), "{refused}");
}

#[tokio::test]
async fn a_damaged_database_is_found_out() {
    let house = House::new().await;
    let (_, puid) = house.granted("alice", 1).await;
    for number in 1..=90 {
        house.queue(number, puid).await;
    }
    let (dir, store) = (house.dir.path().to_owned(), house.store.clone());
    store.close().await.unwrap();
    let file = dir.join("presence.db");
    let mut bytes = std::fs::read(&file).unwrap();
    // All pages but the first, which lists the tables, and the one of the steps that were taken.
    let length = bytes.len();
    bytes[length - 8 * 4096..].fill(0xa5);
    std::fs::write(&file, bytes).unwrap();
    let url = format!("sqlite://{}?mode=rwc", file.display());
    let refused = Store::inspect(&url).await.unwrap_err();
    assert!(matches!(refused, StoreError::Damaged(_)), "{refused:?}");
    let refused = Store::back_up(&url, &dir.join("backup.db")).await.unwrap_err();
    assert!(!dir.join("backup.db").exists(), "{refused}");
}
