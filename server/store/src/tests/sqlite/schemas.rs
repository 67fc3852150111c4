//! Migrations: every earlier schema is kept as a dump with data, and is migrated to the newest.
//!
//! A new migration needs a dump: `UPDATE=1 cargo test -p presence-store` writes the missing one
//! with the data of [`insert_sample`]. An existing dump is never written again: once released, it
//! is what servers have stored.

mod dump;
mod sample;

use std::path::{Path, PathBuf};

use sea_orm_migration::prelude::MigratorTrait;
use tempfile::TempDir;

use self::dump::{Rows, Schema};
use self::sample::insert_sample;
use super::super::fixture::{Fixture, NOW, url};
use crate::Store;
use crate::migration::{self, Migrator};

/// The tables that the start of a server changes.
const CHANGES_AT_START: [&str; 2] = ["meta", "seaql_migrations"];

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the developer decides whether to write the file")]
async fn every_schema_has_a_dump() {
    let missing: Vec<String> = names().into_iter().filter(|name| !file(name).exists()).collect();
    if std::env::var("UPDATE").is_ok_and(|value| value == "1") && missing == [migration::newest()] {
        let fixture = Fixture::new().await;
        insert_sample(&fixture).await;
        std::fs::write(file(&missing[0]), dump::write(fixture.store.write().pool()).await).unwrap();
        return;
    }
    assert!(
        missing.is_empty(),
        "{missing:?} without a dump: UPDATE=1 cargo test -p presence-store"
    );
    let kept = std::fs::read_dir(folder()).unwrap();
    let kept = kept.filter(|entry| {
        entry.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "sql")
    });
    assert_eq!(kept.count(), names().len(), "a dump of no schema");
}

#[tokio::test]
async fn a_released_schema_is_never_changed() {
    for (number, name) in names().iter().enumerate() {
        let (dumped, directory) = (DumpedDatabase::load(name).await, tempfile::tempdir().unwrap());
        let db = dump::open(&url(&directory)).await;
        Migrator::up(&db, Some(u32::try_from(number + 1).unwrap())).await.unwrap();
        assert_eq!(dumped.tables().await, Schema::of(&db).await, "{name}");
    }
}

#[tokio::test]
async fn an_earlier_schema_migrates_to_the_newest() {
    let fresh = Fixture::new().await;
    let newest = Schema::of(fresh.store.write().pool()).await;
    for name in names() {
        let dumped = DumpedDatabase::load(&name).await;
        Store::open(&dumped.url(), NOW).await.unwrap().close().await.unwrap();
        assert_eq!(dumped.tables().await, newest, "{name}");
        let db = dump::open(&dumped.url()).await;
        assert_eq!(migration::applied(&db).await.unwrap(), names(), "{name}");
        assert!(crate::sqlite::inspection::is_sound(&db).await.unwrap(), "{name}");
        assert!(dump::foreign_keys_hold(&db).await, "{name}");
    }
}

#[tokio::test]
async fn an_inspection_migrates_no_earlier_schema() {
    for name in names() {
        let dumped = DumpedDatabase::load(&name).await;
        let file = dumped.0.path().join("presence.db");
        let before = std::fs::read(&file).unwrap();
        let found = Store::inspect(&dumped.url()).await.unwrap();
        assert_eq!((found.schema.as_ref(), found.in_use), (Some(&name), false));
        assert!(std::fs::read(&file).unwrap() == before, "{name} was changed");
    }
}

#[tokio::test]
async fn every_row_of_an_earlier_schema_survives_migration() {
    for name in names() {
        let dumped = DumpedDatabase::load(&name).await;
        let before = dumped.contents().await;
        assert!(before.tables().all(|(table, rows)| rows > 0 || table == "seaql_migrations"));
        Store::open(&dumped.url(), NOW).await.unwrap().close().await.unwrap();
        let after = dumped.contents().await;
        before.assert_kept_in(&after, &CHANGES_AT_START);
    }
}

#[tokio::test]
async fn data_of_an_earlier_server_can_be_used() {
    for name in names() {
        let dumped = DumpedDatabase::load(&name).await;
        let fixture = Fixture::open(dumped.0, NOW).await;
        sample::assert_found(&fixture, &name).await;
    }
}

/// Returns the names of all schemas, the oldest first.
fn names() -> Vec<String> {
    Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/sqlite/schemas")
}

fn file(name: &str) -> PathBuf {
    folder().join(name).with_extension("sql")
}

/// A database of an earlier server.
struct DumpedDatabase(TempDir);

impl DumpedDatabase {
    async fn load(name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let sql = std::fs::read_to_string(file(name)).unwrap();
        dump::read(&url(&directory), &sql).await;
        Self(directory)
    }

    fn url(&self) -> String {
        url(&self.0)
    }

    async fn tables(&self) -> Schema {
        Schema::of(&dump::open(&self.url()).await).await
    }

    async fn contents(&self) -> Rows {
        Rows::of(&dump::open(&self.url()).await).await
    }
}

#[tokio::test]
async fn no_sequence_number_is_reused_after_a_migration() {
    for name in names() {
        let dumped = DumpedDatabase::load(&name).await;
        // Without the last rows, only the stored sequence tells the next number.
        let db = dump::open(&dumped.url()).await;
        dump::run(&db, "DELETE FROM notifications").await;
        db.close().await.unwrap();
        let fixture = Fixture::open(dumped.0, NOW).await;
        assert_eq!(sample::next_sequence_number(&fixture).await, 4, "{name}");
    }
}
