//! The migrations of the tables. A released migration is never changed.

mod m0001_tables;
mod m0002_generations;
mod m0003_blocked;
mod m0004_queues;
mod m0005_sources;
mod m0006_session_use;
mod m0007_grant_domains;
mod m0008_development;
mod m0009_ended_devices;
mod m0010_shared_presence;
mod m0011_acme;

use sea_orm::{DatabaseConnection, DbBackend, EntityTrait, QueryOrder};
use sea_orm_migration::prelude::{MigrationTrait, MigratorTrait, SchemaManager};
use sea_orm_migration::seaql_migrations;

use crate::bounded::LOCK_RETRY;
use crate::error::StoreError;

/// The maximum number of attempts to apply the migrations.
const ATTEMPTS: usize = 20;
/// The table in which sea-orm records the applied migrations.
const TABLE: &str = "seaql_migrations";

pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_tables::CreateTables),
            Box::new(m0002_generations::AddGenerations),
            Box::new(m0003_blocked::AddBlockedAt),
            Box::new(m0004_queues::NumberGrants),
            Box::new(m0005_sources::AddSources),
            Box::new(m0006_session_use::AddSessionUse),
            Box::new(m0007_grant_domains::AddGrantDomains),
            Box::new(m0008_development::MarkDevelopment),
            Box::new(m0009_ended_devices::AddEndedDevices),
            Box::new(m0010_shared_presence::AddSharedPresence),
            Box::new(m0011_acme::AddAcme),
        ]
    }
}

/// Applies all pending migrations. A database with unknown migrations is left as it is.
///
/// # Errors
///
/// `TooNew`, `Unavailable`.
pub(crate) async fn run(db: &DatabaseConnection) -> Result<(), StoreError> {
    let applied = applied(db).await?;
    refuse_newer(&applied, db.get_database_backend())?;
    if unknown(&applied).next().is_some() {
        // The server that has applied it has applied those before it.
        return Ok(());
    }
    let mut attempts = 1;
    loop {
        match Migrator::up(db, None).await.map_err(StoreError::from) {
            // Servers that run meanwhile may lock the tables in another order.
            Err(error) if error.is_conflict() && attempts < ATTEMPTS => attempts += 1,
            result => return result,
        }
        tokio::time::sleep(LOCK_RETRY).await;
    }
}

/// Returns the name of the newest migration of this server.
pub(crate) fn newest() -> String {
    Migrator::migrations().last().map(|migration| migration.name().to_owned()).unwrap_or_default()
}

/// Returns the names of the applied migrations in their order, none if the database does not belong
/// to Presence.
///
/// # Errors
///
/// `Unavailable`.
pub(crate) async fn applied(db: &DatabaseConnection) -> Result<Vec<String>, StoreError> {
    if !SchemaManager::new(db).has_table(TABLE).await? {
        return Ok(Vec::new());
    }
    let query = seaql_migrations::Entity::find();
    let rows = query.order_by_asc(seaql_migrations::Column::Version).all(db).await?;
    Ok(rows.into_iter().map(|row| row.version).collect())
}

/// Refuses a database with applied migrations that this server does not know. On PostgreSQL one is
/// allowed: servers of a database are upgraded one after another, and each migration leaves the
/// program before it working, which may also start again meanwhile.
///
/// # Errors
///
/// `TooNew`.
pub(crate) fn refuse_newer(applied: &[String], backend: DbBackend) -> Result<(), StoreError> {
    let allowed = usize::from(backend == DbBackend::Postgres);
    let refused = unknown(applied).nth(allowed);
    refused.map_or(Ok(()), |name| Err(StoreError::TooNew(name.clone())))
}

fn unknown(applied: &[String]) -> impl Iterator<Item = &String> {
    let known = Migrator::migrations();
    applied.iter().filter(move |name| known.iter().all(|migration| migration.name() != *name))
}
