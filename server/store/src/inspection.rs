//! Looks at a database, whether or not a server uses it, and changes nothing in it.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use crate::connection::{Address, PATIENCE};
use crate::error::StoreError;
use crate::migration;
use crate::store::{Store, begin_immediate};

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Whether a running server uses it.
    pub in_use: bool,
    /// The newest step that its tables have taken; none where the database has yet to be made.
    pub schema: Option<String>,
    /// The step that this server brings them to.
    pub newest: String,
}

impl Store {
    /// Looks whether a server can use the database at a `sqlite:` URL: whether it is there or can be made, sound, not newer than
    /// this server, and may be written. Reads all of it. The tables stay as they are, also where they are older.
    ///
    /// # Errors
    ///
    /// What [`Store::open`] would fail with, except `InUse`; `Damaged`.
    pub async fn inspect(url: &str) -> Result<Inspection, StoreError> {
        let address = Address::parse(url, PATIENCE)?;
        let newest = migration::newest();
        if !address.exists()? {
            // The file beside it shows that one can be made there.
            address.lock()?;
            return Ok(Inspection { in_use: false, schema: None, newest });
        }
        let explain = |error| address.explain(error);
        let db = address.onlooker().await?;
        let applied = migration::applied(&db).await.map_err(explain)?;
        migration::refuse_newer(&applied)?;
        if !is_sound(&db).await.map_err(explain)? {
            return Err(StoreError::Damaged(address.path().to_owned()));
        }
        db.close_by_ref().await.map_err(StoreError::from)?;
        let in_use = match address.lock() {
            Ok(_lock) => {
                can_be_written(&address).await.map_err(explain)?;
                false
            }
            Err(StoreError::InUse(_)) => true,
            Err(error) => return Err(error),
        };
        Ok(Inspection { in_use, schema: applied.into_iter().next_back(), newest })
    }
}

/// Whether everything in a database is where it belongs.
pub(crate) async fn is_sound(db: &DatabaseConnection) -> Result<bool, StoreError> {
    let statement = Statement::from_string(DbBackend::Sqlite, "PRAGMA integrity_check(1)");
    let row = db.query_one_raw(statement).await?;
    let said = row.and_then(|row| row.try_get_by_index::<String>(0).ok());
    Ok(said.as_deref() == Some("ok"))
}

async fn can_be_written(address: &Address) -> Result<(), StoreError> {
    let db = address.toucher().await?;
    begin_immediate(&db).await?.rollback().await?;
    Ok(db.close_by_ref().await?)
}
