//! The commands that use a database without serving it.

use std::path::Path;

use presence_core::UnixMillis;

use crate::copy::{self, DatabaseCopy};
use crate::database_url::DatabaseUrl;
use crate::error::StoreError;
use crate::inspection::Inspection;
use crate::sqlite::backup::Backup;
use crate::sqlite::connection::BUSY_TIMEOUT;
use crate::store::Store;
use crate::{postgres, sqlite};

impl Store {
    /// Checks that a server can use the database at a URL: that it exists or can be created, is
    /// intact, is not newer than this server, and can be written. Reads all of a SQLite file. Older
    /// tables are not migrated, and nothing is changed.
    ///
    /// # Errors
    ///
    /// The errors of [`Store::open`] except `InUse`, and `Damaged`.
    pub async fn inspect(url: &str) -> Result<Inspection, StoreError> {
        match DatabaseUrl::parse(url, BUSY_TIMEOUT)? {
            DatabaseUrl::Sqlite(file) => sqlite::inspection::inspect(&file).await,
            DatabaseUrl::Postgres(database) => postgres::inspection::inspect(&database).await,
        }
    }

    /// Copies the database at a `sqlite:` URL to a new file. The copy is the state at one moment
    /// after the call began, so it has everything that was committed before. A server may use the
    /// database meanwhile: readers and writers do not wait for each other. The file appears under
    /// its name once it is complete, checked and on disk. Only its owner may read it.
    ///
    /// # Errors
    ///
    /// `Exists`, `NotBackedUp`, `Foreign`, `Damaged`, `OnlySqlite`, `BadUrl`, `NoDirectory`,
    /// `NoSource`, `NotADatabase`, `Unavailable`.
    pub async fn back_up(url: &str, to: &Path) -> Result<Backup, StoreError> {
        match DatabaseUrl::parse(url, BUSY_TIMEOUT)? {
            DatabaseUrl::Sqlite(file) => sqlite::backup::back_up(&file, to).await,
            DatabaseUrl::Postgres(_) => Err(StoreError::OnlySqlite),
        }
    }

    /// Copies all rows of a SQLite database to a PostgreSQL database without users. No server may
    /// use either of them. The tables of both are migrated. A copy that fails leaves no row, and
    /// can be repeated.
    ///
    /// # Errors
    ///
    /// `NoCopy`, `NoSource`, `NotEmpty`, `InUse`, and those of [`Store::open`].
    pub async fn copy(url: &str, to: &str, now: UnixMillis) -> Result<DatabaseCopy, StoreError> {
        let parse = |url| DatabaseUrl::parse(url, BUSY_TIMEOUT);
        match (parse(url)?, parse(to)?) {
            (DatabaseUrl::Sqlite(file), DatabaseUrl::Postgres(database)) => {
                copy::copy(&file, &database, now).await
            }
            (DatabaseUrl::Sqlite(_) | DatabaseUrl::Postgres(_), _) => Err(StoreError::NoCopy),
        }
    }
}
