//! The lock of a PostgreSQL database, which tells whether servers use it.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, TransactionTrait};

use super::connection::PostgresDatabase;
use crate::error::StoreError;

/// The key of the lock among PostgreSQL's advisory locks: "presence" in ASCII.
const SERVER_LOCK: i64 = 0x7072_6573_656e_6365;
/// The key of the lock that is held while the tables are migrated.
const MIGRATION_LOCK: i64 = SERVER_LOCK + 1;

/// A lock that is held as long as its connection is open. The server releases it when the
/// connection ends, also after a crash.
pub(crate) struct ServerLock(DatabaseConnection);

impl ServerLock {
    /// Takes the lock that all servers of a database hold in common.
    ///
    /// # Errors
    ///
    /// `InUse` while a command has the database for itself, and those of a connection.
    pub(crate) async fn share(database: &PostgresDatabase) -> Result<Self, StoreError> {
        Self::take(database, "SELECT pg_try_advisory_lock_shared($1)").await
    }

    /// Takes the lock for a command that needs the database for itself.
    ///
    /// # Errors
    ///
    /// `InUse` while a server uses the database, and those of a connection.
    pub(crate) async fn take_alone(database: &PostgresDatabase) -> Result<Self, StoreError> {
        Self::take(database, "SELECT pg_try_advisory_lock($1)").await
    }

    async fn take(database: &PostgresDatabase, sql: &str) -> Result<Self, StoreError> {
        let db = database.open_one().await?;
        let query = Statement::from_sql_and_values(DbBackend::Postgres, sql, [SERVER_LOCK.into()]);
        let row = db.query_one_raw(query).await.map_err(|error| database.explain(error.into()))?;
        let is_taken = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or(false);
        if is_taken { Ok(Self(db)) } else { Err(StoreError::InUse(database.name().into())) }
    }

    /// Releases the lock.
    pub(crate) async fn release(&self) {
        // If this fails, the server releases the lock when it notices the end of the connection.
        self.0.execute_unprepared("SELECT pg_advisory_unlock_all()").await.ok();
        self.0.close_by_ref().await.ok();
    }
}

/// Runs the work while no other server migrates the tables.
pub(crate) async fn while_migrating<T>(
    db: &DatabaseConnection,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let guard = db.begin().await?;
    // The migration may take longer than a transaction may be idle or wait for a lock.
    for setting in ["idle_in_transaction_session_timeout", "lock_timeout", "statement_timeout"] {
        guard.execute_unprepared(&format!("SET LOCAL {setting} = 0")).await?;
    }
    let lock = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT pg_advisory_xact_lock($1)",
        [MIGRATION_LOCK.into()],
    );
    guard.execute_raw(lock).await?;
    let result = work.await?;
    guard.commit().await?;
    Ok(result)
}
