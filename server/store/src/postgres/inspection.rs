//! Checks of a PostgreSQL database that change nothing in it, while servers use it or not.

use sea_orm::{ConnectionTrait, DatabaseConnection, TransactionTrait};

use super::connection::PostgresDatabase;
use super::lock::ServerLock;
use crate::error::StoreError;
use crate::inspection::Inspection;
use crate::migration;

/// Checks that a server can use a database.
pub(crate) async fn inspect(database: &PostgresDatabase) -> Result<Inspection, StoreError> {
    let explain = |error| database.explain(error);
    let db = database.open_two().await?;
    database.check(&db).await?;
    let applied = migration::applied(&db).await.map_err(explain)?;
    migration::refuse_newer(&applied, db.get_database_backend())?;
    can_create_tables(&db).await.map_err(explain)?;
    db.close_by_ref().await.map_err(|error| explain(error.into()))?;
    let in_use = match ServerLock::take_alone(database).await {
        Ok(lock) => {
            lock.release().await;
            false
        }
        Err(StoreError::InUse(_)) => true,
        Err(error) => return Err(error),
    };
    Ok(Inspection { in_use, schema: applied.into_iter().next_back(), newest: migration::newest() })
}

/// Creates a table, and undoes it.
async fn can_create_tables(db: &DatabaseConnection) -> Result<(), StoreError> {
    let transaction = db.begin().await?;
    transaction.execute_unprepared("CREATE TABLE presence_check (id int)").await?;
    Ok(transaction.rollback().await?)
}
