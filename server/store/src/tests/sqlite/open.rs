//! Opening a database: creation, refusals and their texts.

use std::fs;
use std::time::Duration;

use sea_orm::{ConnectionTrait, Database};

use super::super::fixture::{NOW, url};
use crate::{Store, StoreError, StoreSettings};

const MINUTE: Duration = Duration::from_mins(1);

async fn refused(url: &str) -> StoreError {
    let deadline = Duration::from_millis(50);
    let settings = StoreSettings { deadline, ..StoreSettings::default() };
    let error = Store::open_with(url, NOW, settings).await.err().unwrap();
    assert!(!error.to_string().contains('\n'), "{error}");
    error
}

async fn setting(store: &Store, name: &str) -> String {
    let statement = sea_orm::Statement::from_string(
        sea_orm::DbBackend::Sqlite,
        format!("SELECT CAST({name} AS TEXT) AS value FROM pragma_{name}"),
    );
    let row = store.write().query_one_raw(statement).await.unwrap().unwrap();
    row.try_get("", "value").unwrap()
}

#[tokio::test]
async fn commits_are_synced_and_foreign_keys_are_enforced() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&url(&dir), NOW).await.unwrap();
    assert_eq!(setting(&store, "journal_mode").await, "wal");
    assert_eq!(setting(&store, "synchronous").await, "2");
    assert_eq!(setting(&store, "foreign_keys").await, "1");
    store.ping().await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_the_files_of_a_database() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&url(&dir), NOW).await.unwrap();
    store.set_devices_connected(true).await.unwrap();
    let files = fs::read_dir(dir.path()).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        (entry.file_name().into_string().unwrap(), format!("{mode:o}"))
    });
    let mut files: Vec<_> = files.collect();
    files.sort_unstable();
    let names = ["presence.db", "presence.db-lock", "presence.db-shm", "presence.db-wal"];
    assert_eq!(files, names.map(|name| (name.to_owned(), "600".to_owned())));
}

#[cfg(unix)]
#[tokio::test]
async fn the_mode_of_an_existing_file_is_the_operator_s_choice() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    Store::open(&url(&dir), NOW).await.unwrap().close().await.unwrap();
    let file = dir.path().join("presence.db");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    Store::open(&url(&dir), NOW).await.unwrap().close().await.unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
}

#[tokio::test]
async fn an_epoch_grows_even_if_the_clock_goes_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut epochs = Vec::new();
    for now in [NOW, NOW - MINUTE, NOW - MINUTE, NOW + MINUTE] {
        let store = Store::open(&url(&dir), now).await.unwrap();
        epochs.push(store.epoch());
        store.close().await.unwrap();
    }
    let seconds = NOW.as_secs();
    assert_eq!(epochs, [seconds, seconds + 1, seconds + 2, seconds + 60]);
}

#[tokio::test]
async fn a_run_knows_whether_the_last_one_had_devices_connected() {
    let dir = tempfile::tempdir().unwrap();
    let first = Store::open(&url(&dir), NOW).await.unwrap();
    assert!(!first.had_devices_connected());
    first.set_devices_connected(true).await.unwrap();
    assert!(!first.had_devices_connected(), "it is the state found on opening");
    first.close().await.unwrap();
    let second = Store::open(&url(&dir), NOW).await.unwrap();
    assert!(second.had_devices_connected());
    second.set_devices_connected(false).await.unwrap();
    second.close().await.unwrap();
    assert!(!Store::open(&url(&dir), NOW).await.unwrap().had_devices_connected());
}

#[tokio::test]
async fn a_newer_database_is_refused_and_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&url(&dir), NOW).await.unwrap();
    let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_later', 0)";
    store.write().execute_unprepared(newer).await.unwrap();
    store.close().await.unwrap();
    let error = refused(&url(&dir)).await;
    assert!(matches!(&error, StoreError::TooNew(name) if name == "m9999_later"), "{error}");
}

#[tokio::test]
async fn a_database_in_use_by_another_server_is_refused_until_that_server_stops() {
    let dir = tempfile::tempdir().unwrap();
    let first = Store::open(&url(&dir), NOW).await.unwrap();
    let error = refused(&url(&dir)).await;
    assert!(matches!(error, StoreError::InUse(_)), "{error}");
    // Also by another name of the same file.
    std::os::unix::fs::symlink(dir.path().join("presence.db"), dir.path().join("link.db")).unwrap();
    let link = format!("sqlite://{}?mode=rwc", dir.path().join("link.db").display());
    let error = refused(&link).await;
    assert!(matches!(error, StoreError::InUse(_)), "{error}");
    first.ping().await.unwrap();
    drop(first);
    let by_link = Store::open(&link, NOW).await.unwrap();
    assert!(matches!(refused(&url(&dir)).await, StoreError::InUse(_)));
    drop(by_link);
    Store::open(&url(&dir), NOW).await.unwrap();
}

#[tokio::test]
async fn a_missing_directory_is_reported() {
    let error = refused("sqlite:///nowhere/at/all/presence.db?mode=rwc").await;
    assert!(matches!(error, StoreError::NoDirectory(_)), "{error:?}");
}

#[tokio::test]
async fn a_missing_file_is_not_created_without_mode_rwc() {
    let dir = tempfile::tempdir().unwrap();
    let error = refused(&url(&dir).replace("?mode=rwc", "")).await;
    assert!(matches!(error, StoreError::Missing(_)), "{error:?}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let text = "This is a letter. ".repeat(100);
    fs::write(dir.path().join("presence.db"), &text).unwrap();
    let error = refused(&url(&dir)).await;
    assert!(matches!(error, StoreError::NotADatabase(_)), "{error:?}");
    assert_eq!(fs::read_to_string(dir.path().join("presence.db")).unwrap(), text);
}

#[tokio::test]
async fn a_locked_file_is_refused_after_the_timeout() {
    let dir = tempfile::tempdir().unwrap();
    Store::open(&url(&dir), NOW).await.unwrap().close().await.unwrap();
    let other = Database::connect(url(&dir)).await.unwrap();
    other.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
    let error = refused(&url(&dir)).await;
    assert!(matches!(error, StoreError::Locked(_)), "{error:?}");
}

#[tokio::test]
async fn a_read_only_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    Store::open(&url(&dir), NOW).await.unwrap().close().await.unwrap();
    let error = refused(&url(&dir).replace("rwc", "ro")).await;
    assert!(matches!(error, StoreError::ReadOnly(_)), "{error:?}");
}

#[tokio::test]
async fn other_urls_are_refused_without_showing_them() {
    for url in ["", "presence.db", "sqlite::memory:", "sqlite:", "mysql://u:secret@host/x"] {
        assert!(matches!(refused(url).await, StoreError::BadUrl), "{url}");
    }
    assert!(matches!(refused("sqlite://a.db?mode=secret").await, StoreError::BadUrl));
}
