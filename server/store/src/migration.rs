//! How the tables came about, step by step. A step that was released is never changed again.

mod m0001_tables;
mod m0003_blocked;

use sea_orm::{DatabaseConnection, EntityTrait};
use sea_orm_migration::prelude::{MigrationTrait, MigratorTrait, SchemaManager};
use sea_orm_migration::seaql_migrations;

use crate::error::StoreError;

struct Steps;

impl MigratorTrait for Steps {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_tables::Step), Box::new(m0003_blocked::Step)]
    }
}

/// Brings the tables up to date. A database with steps unknown here is left as it is.
///
/// # Errors
///
/// `TooNew`, `Unavailable`.
pub(crate) async fn run(db: &DatabaseConnection) -> Result<(), StoreError> {
    if SchemaManager::new(db).has_table("seaql_migrations").await? {
        let known = Steps::migrations();
        let applied = seaql_migrations::Entity::find().all(db).await?;
        let unknown = applied.into_iter().find(|row| known.iter().all(|s| s.name() != row.version));
        if let Some(row) = unknown {
            return Err(StoreError::TooNew(row.version));
        }
    }
    Ok(Steps::up(db, None).await?)
}
