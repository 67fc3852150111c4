//! Checks of a database that change nothing in it, while a server uses it or not.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use crate::bounded::begin_immediate;
use crate::connection::{BUSY_TIMEOUT, DatabaseFile};
use crate::error::StoreError;
use crate::migration;
use crate::store::Store;

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Is true if a running server uses the database.
    pub in_use: bool,
    /// The newest migration of its tables, `None` if the database does not exist yet.
    pub schema: Option<String>,
    /// The newest migration that this server knows.
    pub newest: String,
}

impl Store {
    /// Checks that a server can use the database at a `sqlite:` URL: that it exists or can be
    /// created, is intact, is not newer than this server, and can be written. Reads all of it.
    /// Older tables are not migrated.
    ///
    /// # Errors
    ///
    /// The errors of [`Store::open`] except `InUse`, and `Damaged`.
    pub async fn inspect(url: &str) -> Result<Inspection, StoreError> {
        let file = DatabaseFile::parse(url, BUSY_TIMEOUT)?;
        let newest = migration::newest();
        if !file.exists()? {
            // The lock file beside it shows that a file can be created there.
            file.lock()?;
            return Ok(Inspection { in_use: false, schema: None, newest });
        }
        let explain = |error| file.explain(error);
        let db = file.open_read_only().await?;
        let applied = migration::applied(&db).await.map_err(explain)?;
        migration::refuse_newer(&applied)?;
        if !is_sound(&db).await.map_err(explain)? {
            return Err(StoreError::Damaged(file.path().to_owned()));
        }
        db.close_by_ref().await.map_err(StoreError::from)?;
        let in_use = match file.lock() {
            Ok(_lock) => {
                can_be_written(&file).await.map_err(explain)?;
                false
            }
            Err(StoreError::InUse(_)) => true,
            Err(error) => return Err(error),
        };
        Ok(Inspection { in_use, schema: applied.into_iter().next_back(), newest })
    }
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
