//! How the tables came about, step by step. A step that was released is never changed again.

mod m0001_tables;
mod m0002_generations;
mod m0003_blocked;
mod m0004_queues;

use sea_orm::{DatabaseConnection, EntityTrait, QueryOrder};
use sea_orm_migration::prelude::{MigrationTrait, MigratorTrait, SchemaManager};
use sea_orm_migration::seaql_migrations;

use crate::error::StoreError;

/// Where sea-orm notes which steps were taken.
const TABLE: &str = "seaql_migrations";

pub(crate) struct Steps;

impl MigratorTrait for Steps {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_tables::Step),
            Box::new(m0002_generations::Step),
            Box::new(m0003_blocked::Step),
            Box::new(m0004_queues::Step),
        ]
    }
}

/// Brings the tables up to date. A database with steps unknown here is left as it is.
///
/// # Errors
///
/// `TooNew`, `Unavailable`.
pub(crate) async fn run(db: &DatabaseConnection) -> Result<(), StoreError> {
    refuse_newer(&applied(db).await?)?;
    Ok(Steps::up(db, None).await?)
}

/// The newest step of this server.
pub(crate) fn newest() -> String {
    Steps::migrations().last().map(|step| step.name().to_owned()).unwrap_or_default()
}

/// The names of the steps that a database has taken, in their order; none where it is not one of Presence.
///
/// # Errors
///
/// `Unavailable`.
pub(crate) async fn applied(db: &DatabaseConnection) -> Result<Vec<String>, StoreError> {
    if !SchemaManager::new(db).has_table(TABLE).await? {
        return Ok(Vec::new());
    }
    let steps = seaql_migrations::Entity::find();
    let steps = steps.order_by_asc(seaql_migrations::Column::Version).all(db).await?;
    Ok(steps.into_iter().map(|row| row.version).collect())
}

/// Makes sure that no step was taken that is unknown here.
///
/// # Errors
///
/// `TooNew`.
pub(crate) fn refuse_newer(applied: &[String]) -> Result<(), StoreError> {
    let known = Steps::migrations();
    let unknown = applied.iter().find(|name| known.iter().all(|step| step.name() != *name));
    unknown.map_or(Ok(()), |name| Err(StoreError::TooNew(name.clone())))
}
