//! Checks of a SQLite database that change nothing in it, while a server uses it or not.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use super::connection::DatabaseFile;
use crate::bounded::begin_immediate;
use crate::error::StoreError;
use crate::inspection::Inspection;
use crate::migration;

/// Checks that a server can use a file. Reads all of it.
pub(crate) async fn inspect(file: &DatabaseFile) -> Result<Inspection, StoreError> {
    let newest = migration::newest();
    if !file.exists()? {
        file.lock_existing()?;
        return Ok(Inspection { in_use: false, schema: None, newest });
    }
    let explain = |error| file.explain(error);
    let db = file.open_read_only().await?;
    let applied = migration::applied(&db).await.map_err(explain)?;
    migration::refuse_newer(&applied, db.get_database_backend())?;
    if !is_sound(&db).await.map_err(explain)? {
        return Err(StoreError::Damaged(file.path().to_owned()));
    }
    db.close_by_ref().await.map_err(StoreError::from)?;
    let in_use = match file.lock_existing() {
        Ok(_lock) => {
            can_be_written(file).await.map_err(explain)?;
            false
        }
        Err(StoreError::InUse(_)) => true,
        Err(error) => return Err(error),
    };
    Ok(Inspection { in_use, schema: applied.into_iter().next_back(), newest })
}

/// Returns true if SQLite's integrity check passes.
pub(crate) async fn is_sound(db: &DatabaseConnection) -> Result<bool, StoreError> {
    let statement = Statement::from_string(DbBackend::Sqlite, "PRAGMA integrity_check(1)");
    let row = db.query_one_raw(statement).await?;
    let result = row.and_then(|row| row.try_get_by_index::<String>(0).ok());
    Ok(result.as_deref() == Some("ok"))
}

async fn can_be_written(file: &DatabaseFile) -> Result<(), StoreError> {
    let db = file.open_existing().await?;
    begin_immediate(&db).await?.rollback().await?;
    Ok(db.close_by_ref().await?)
}
