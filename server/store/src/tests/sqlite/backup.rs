//! Backups and inspections of a database beside a store that uses it.

use std::path::PathBuf;

use sea_orm::{ConnectionTrait, Database};

use super::super::fixture::{Fixture, NOW, id, url};
use crate::{Store, StoreError};

fn backup_path(fixture: &Fixture) -> PathBuf {
    fixture.dir.path().join("backup.db")
}

#[tokio::test]
async fn a_backup_holds_what_was_committed_and_can_be_opened() {
    let fixture = Fixture::new().await;
    let (alice, puid) = fixture.user_with_grant("alice", 1).await;
    fixture.queue(1, puid).await;
    let made = Store::back_up(&url(&fixture.dir), &backup_path(&fixture)).await.unwrap();
    fixture.queue(2, puid).await;
    assert_eq!(made.schema, crate::migration::newest());
    assert_eq!(made.bytes, std::fs::metadata(backup_path(&fixture)).unwrap().len());
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::copy(backup_path(&fixture), elsewhere.path().join("presence.db")).unwrap();
    let restored = Fixture::open(elsewhere, NOW).await;
    assert_eq!(restored.pending(alice).await, [id(1)]);
    assert_eq!(fixture.pending(alice).await, [id(1), id(2)]);
}

#[tokio::test]
async fn a_backup_overwrites_no_file_and_leaves_no_partial_file() {
    let fixture = Fixture::new().await;
    std::fs::write(backup_path(&fixture), "older").unwrap();
    let error = Store::back_up(&url(&fixture.dir), &backup_path(&fixture)).await.unwrap_err();
    assert!(matches!(error, StoreError::Exists(_)), "{error}");
    assert_eq!(std::fs::read_to_string(backup_path(&fixture)).unwrap(), "older");
    let nowhere = fixture.dir.path().join("nowhere/backup.db");
    let error = Store::back_up(&url(&fixture.dir), &nowhere).await.unwrap_err();
    assert!(matches!(error, StoreError::NotBackedUp(..)), "{error}");
    let names = std::fs::read_dir(fixture.dir.path()).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains("backup-")), "{names:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_a_backup() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::new().await;
    Store::back_up(&url(&fixture.dir), &backup_path(&fixture)).await.unwrap();
    let mode = std::fs::metadata(backup_path(&fixture)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_backup_of_a_foreign_database_is_refused_and_creates_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("backup.db");
    let error = Store::back_up(&url(&dir), &to).await.unwrap_err();
    assert!(matches!(error, StoreError::NoSource(_)), "{error}");
    let strict = url(&dir).replace("?mode=rwc", "");
    let error = Store::back_up(&strict, &to).await.unwrap_err();
    assert!(matches!(error, StoreError::NoSource(_)), "{error}");
    assert!(!error.to_string().contains("rwc"), "{error}");
    let other = Database::connect(url(&dir)).await.unwrap();
    other.execute_unprepared("CREATE TABLE diary (day TEXT)").await.unwrap();
    let error = Store::back_up(&url(&dir), &to).await.unwrap_err();
    assert!(matches!(error, StoreError::Foreign(_)), "{error}");
    assert!(!to.exists());
}

#[tokio::test]
async fn an_inspection_returns_the_schema_and_whether_a_server_runs() {
    let fixture = Fixture::new().await;
    let found = Store::inspect(&url(&fixture.dir)).await.unwrap();
    assert!(found.in_use);
    assert_eq!(found.schema.as_ref(), Some(&found.newest));
    fixture.store.close().await.unwrap();
    assert!(!Store::inspect(&url(&fixture.dir)).await.unwrap().in_use);
    let empty = tempfile::tempdir().unwrap();
    let found = Store::inspect(&url(&empty)).await.unwrap();
    assert_eq!((found.in_use, found.schema), (false, None));
    let left = std::fs::read_dir(empty.path()).unwrap().count();
    assert_eq!(left, 0, "an inspection creates no file");
}

#[tokio::test]
async fn an_inspection_takes_no_lock_that_is_not_there() {
    let fixture = Fixture::new().await;
    fixture.store.close().await.unwrap();
    let lock = fixture.dir.path().join("presence.db-lock");
    std::fs::remove_file(&lock).unwrap();
    let found = Store::inspect(&url(&fixture.dir)).await.unwrap();
    assert!(!found.in_use && found.schema.is_some());
    assert!(!lock.exists(), "an inspection creates no file");
    let nowhere = tempfile::tempdir().unwrap();
    let inner = format!("sqlite://{}?mode=rwc", nowhere.path().join("a/presence.db").display());
    assert!(matches!(Store::inspect(&inner).await, Err(StoreError::NoDirectory(_))));
}

#[tokio::test]
async fn a_lock_that_cannot_be_opened_is_named_with_its_owner() {
    let dir = tempfile::tempdir().unwrap();
    // Root may open any file, but nobody opens a directory for writing.
    let lock = dir.path().join("presence.db-lock");
    std::fs::create_dir(&lock).unwrap();
    let inspected = Store::inspect(&url(&dir)).await.unwrap_err();
    let opened = Store::open(&url(&dir), NOW).await.map(|_| ()).unwrap_err();
    for error in [inspected, opened] {
        let text = error.to_string();
        assert!(matches!(error, StoreError::NoLock(_, _)), "{text}");
        assert!(text.contains("presence.db-lock cannot be opened"), "{text}");
        assert!(text.contains("belongs to the user with the id"), "{text}");
    }
}

#[tokio::test]
async fn an_inspection_changes_nothing_in_an_older_or_a_newer_database() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("presence.db");
    let older = Database::connect(url(&dir)).await.unwrap();
    let table =
        "CREATE TABLE seaql_migrations (version TEXT PRIMARY KEY, applied_at BIGINT NOT NULL)";
    older.execute_unprepared(table).await.unwrap();
    let row = "INSERT INTO seaql_migrations VALUES ('m0001_tables', 0)";
    older.execute_unprepared(row).await.unwrap();
    older.close_by_ref().await.unwrap();
    let before = std::fs::read(&file).unwrap();
    let found = Store::inspect(&url(&dir)).await.unwrap();
    assert_eq!(found.schema.as_deref(), Some("m0001_tables"));
    assert!(std::fs::read(&file).unwrap() == before, "it was changed");

    let newer = Database::connect(url(&dir)).await.unwrap();
    let row = "INSERT INTO seaql_migrations VALUES ('m9999_later', 0)";
    newer.execute_unprepared(row).await.unwrap();
    newer.close_by_ref().await.unwrap();
    let error = Store::inspect(&url(&dir)).await.unwrap_err();
    assert!(matches!(&error, StoreError::TooNew(name) if name == "m9999_later"), "{error}");
}

#[tokio::test]
async fn a_damaged_database_is_detected() {
    let fixture = Fixture::new().await;
    let (_, puid) = fixture.user_with_grant("alice", 1).await;
    for number in 1..=90 {
        fixture.queue(number, puid).await;
    }
    let (dir, store) = (fixture.dir.path().to_owned(), fixture.store.clone());
    store.close().await.unwrap();
    let file = dir.join("presence.db");
    let mut bytes = std::fs::read(&file).unwrap();
    // All pages but the first, which lists the tables, and the one with the applied migrations.
    let length = bytes.len();
    bytes[length - 8 * 4096..].fill(0xa5);
    std::fs::write(&file, bytes).unwrap();
    let url = format!("sqlite://{}?mode=rwc", file.display());
    let error = Store::inspect(&url).await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged(_)), "{error:?}");
    let error = Store::back_up(&url, &dir.join("backup.db")).await.unwrap_err();
    assert!(!dir.join("backup.db").exists(), "{error}");
}
