//! A schema that grows safely: every earlier one is kept as a dump with data in it, and brought forward.
//!
//! A new migration needs a dump of its own: `UPDATE=1 cargo test -p presence-store` writes the one that is missing, filled by
//! [`fill`]. A dump that is there is never written again: once released, it is what servers out there hold.

mod dump;
mod people;

use std::path::{Path, PathBuf};

use sea_orm_migration::prelude::MigratorTrait;
use tempfile::TempDir;

use self::dump::{Contents, Tables};
use self::people::fill;
use super::house::{House, NOW, url};
use crate::Store;
use crate::migration::{self, Steps};

/// What a start of the server changes itself.
const CHANGES_AT_START: [&str; 2] = ["meta", "seaql_migrations"];

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "whether to write the file is the developer's wish")]
async fn every_schema_is_kept_as_a_dump() {
    let missing: Vec<String> = names().into_iter().filter(|name| !file(name).exists()).collect();
    if std::env::var("UPDATE").is_ok_and(|wish| wish == "1") && missing == [migration::newest()] {
        let house = House::new().await;
        fill(&house).await;
        std::fs::write(file(&missing[0]), dump::write(house.store.write()).await).unwrap();
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
async fn a_schema_that_was_released_is_never_changed() {
    for (number, name) in names().iter().enumerate() {
        let (dumped, made) = (Earlier::load(name).await, tempfile::tempdir().unwrap());
        let db = dump::open(&url(&made)).await;
        Steps::up(&db, Some(u32::try_from(number + 1).unwrap())).await.unwrap();
        assert_eq!(dumped.tables().await, Tables::of(&db).await, "{name}");
    }
}

#[tokio::test]
async fn an_earlier_schema_ends_up_as_the_newest() {
    let fresh = House::new().await;
    let newest = Tables::of(fresh.store.write()).await;
    for name in names() {
        let earlier = Earlier::load(&name).await;
        Store::open(&earlier.url(), NOW).await.unwrap().close().await.unwrap();
        assert_eq!(earlier.tables().await, newest, "{name}");
        let db = dump::open(&earlier.url()).await;
        assert_eq!(migration::applied(&db).await.unwrap(), names(), "{name}");
        assert!(crate::inspection::is_sound(&db).await.unwrap(), "{name}");
        assert!(dump::keys_are_kept(&db).await, "{name}");
    }
}

#[tokio::test]
async fn a_look_brings_no_earlier_schema_forward() {
    for name in names() {
        let earlier = Earlier::load(&name).await;
        let file = earlier.0.path().join("presence.db");
        let before = std::fs::read(&file).unwrap();
        let found = Store::inspect(&earlier.url()).await.unwrap();
        assert_eq!((found.schema.as_ref(), found.in_use), (Some(&name), false));
        assert!(std::fs::read(&file).unwrap() == before, "{name} was changed");
    }
}

#[tokio::test]
async fn every_row_of_an_earlier_schema_is_there_afterwards() {
    for name in names() {
        let earlier = Earlier::load(&name).await;
        let before = earlier.contents().await;
        assert!(before.tables().all(|(table, rows)| rows > 0 || table == "seaql_migrations"));
        Store::open(&earlier.url(), NOW).await.unwrap().close().await.unwrap();
        let after = earlier.contents().await;
        before.is_kept_in(&after, &CHANGES_AT_START);
    }
}

#[tokio::test]
async fn what_an_earlier_server_stored_can_be_used() {
    for name in names() {
        let earlier = Earlier::load(&name).await;
        let house = House::open(earlier.0, NOW).await;
        people::are_found(&house, &name).await;
    }
}

/// All schemas, the oldest first.
fn names() -> Vec<String> {
    Steps::migrations().iter().map(|step| step.name().to_owned()).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/schemas")
}

fn file(name: &str) -> PathBuf {
    folder().join(name).with_extension("sql")
}

/// A database as an earlier server left it.
struct Earlier(TempDir);

impl Earlier {
    async fn load(name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let sql = std::fs::read_to_string(file(name)).unwrap();
        dump::read(&url(&directory), &sql).await;
        Self(directory)
    }

    fn url(&self) -> String {
        url(&self.0)
    }

    async fn tables(&self) -> Tables {
        Tables::of(&dump::open(&self.url()).await).await
    }

    async fn contents(&self) -> Contents {
        Contents::of(&dump::open(&self.url()).await).await
    }
}

#[tokio::test]
async fn no_number_is_given_to_a_second_notification_after_a_step() {
    for name in names() {
        let earlier = Earlier::load(&name).await;
        // Where the last ones are gone, only what was noted tells how far the numbers have come.
        let db = dump::open(&earlier.url()).await;
        dump::run(&db, "DELETE FROM notifications").await;
        db.close().await.unwrap();
        let house = House::open(earlier.0, NOW).await;
        assert_eq!(people::number_of_the_next(&house).await, 4, "{name}");
    }
}
