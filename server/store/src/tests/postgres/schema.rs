//! The schema of PostgreSQL after the newest migration, compared with a recorded one: a released
//! migration is never changed, and a new one is seen as a whole.
//!
//! `UPDATE=1 cargo test -p presence-store` writes the recorded one.

use std::path::Path;

use presence_test_postgres::Cluster;

use super::super::fixture::NOW;
use crate::Store;

/// Lists tables with their columns, constraints, indexes and triggers, then sequences and
/// functions, from the catalogs. The order depends on no locale.
const LIST: &str = include_str!("schema/list.sql");

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the developer decides whether to write the file")]
async fn the_schema_of_the_newest_migration_is_the_recorded_one() {
    let url = Cluster::shared().create_database();
    Store::open(&url, NOW).await.unwrap().close().await.unwrap();
    let schema = Cluster::shared().run_sql(url.rsplit('/').next().unwrap(), LIST);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/postgres/schema/newest.txt");
    if std::env::var("UPDATE").is_ok_and(|value| value == "1") {
        return std::fs::write(file, schema).unwrap();
    }
    let recorded = std::fs::read_to_string(file).unwrap();
    let mut lines = recorded.lines().zip(schema.lines()).enumerate();
    let other = lines.find(|(_, (recorded, found))| recorded != found);
    assert_eq!(other, None, "if this is wanted: UPDATE=1 cargo test -p presence-store");
    assert!(recorded == schema, "one schema is the beginning of the other");
}
