//! The URL of the database, which says what kind it is.

use std::time::Duration;

use crate::error::StoreError;
use crate::postgres::connection::PostgresDatabase;
use crate::sqlite::connection::DatabaseFile;

/// A database that is not opened yet.
pub(crate) enum DatabaseUrl {
    Sqlite(DatabaseFile),
    Postgres(PostgresDatabase),
}

impl DatabaseUrl {
    /// Parses a `sqlite:` or `postgres:` URL. `deadline` is the time for which a statement may wait
    /// for a lock.
    ///
    /// # Errors
    ///
    /// `BadUrl`.
    pub(crate) fn parse(url: &str, deadline: Duration) -> Result<Self, StoreError> {
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            return PostgresDatabase::parse(url, deadline).map(Self::Postgres);
        }
        DatabaseFile::parse(url, deadline).map(Self::Sqlite)
    }
}
