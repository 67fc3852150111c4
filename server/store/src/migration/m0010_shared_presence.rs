//! Adds to PostgreSQL the presence that several servers share. On SQLite there is one server, which
//! keeps presence in memory.
//!
//! The tables `live_…` are not logged: a crash of the database empties them, and the servers fill
//! them again. The functions have a number: a later version gets a new one, and the old one stays
//! for the servers of the version before.

use sea_orm::DbBackend;
use sea_orm_migration::prelude::{
    ConnectionTrait, DbErr, MigrationName, MigrationTrait, SchemaManager, async_trait,
};

pub(super) struct AddSharedPresence;

const TABLES: &str = include_str!("m0010_shared_presence/tables.sql");
const NOTES: &str = include_str!("m0010_shared_presence/notes.sql");
const CHECKS: &str = include_str!("m0010_shared_presence/checks.sql");
const DELAY: &str = include_str!("m0010_shared_presence/delay.sql");
const CLAIM: &str = include_str!("m0010_shared_presence/claim.sql");
const TELL: &str = include_str!("m0010_shared_presence/tell.sql");
const RELEASE: &str = include_str!("m0010_shared_presence/release.sql");
const APPLY: &str = include_str!("m0010_shared_presence/apply.sql");

impl MigrationName for AddSharedPresence {
    fn name(&self) -> &'static str {
        "m0010_shared_presence"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait hides it, and async_trait then tells the two apart"
)]
#[async_trait::async_trait]
impl MigrationTrait for AddSharedPresence {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() == DbBackend::Postgres {
            for statements in [TABLES, NOTES, CHECKS, CLAIM, TELL, DELAY, RELEASE, APPLY] {
                manager.get_connection().execute_unprepared(statements).await?;
            }
        }
        Ok(())
    }
}
