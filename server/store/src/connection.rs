//! Opens the database file: one connection that writes, a few that read.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sea_orm::sqlx::Connection;
use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::{ConnectOptions, Database, DatabaseConnection};

use crate::error::{Cause, StoreError, Trouble};

/// How long a connection waits for another process that holds the file.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

const READERS: u32 = 4;

/// The statements kept prepared: multi-row ones of many lengths are large, and seldom come again.
const PREPARED: usize = 40;

/// How much of the file the writer keeps in memory, in KiB, which SQLite tells from pages by the sign. Each notification touches
/// several pages anywhere in its indexes.
const CACHE: &str = "-8192";

/// After how many pages of 4 KiB the log is written back into the file. A page that many transactions have changed is then written
/// once; by default, after 1,000, most of the time went into this.
const CHECKPOINT: &str = "8000";

/// Where SQLite notes what a statement of many rows has changed, so that it can be undone alone. Beyond 64 KiB, by default, that goes
/// into a file made for the statement, which took a fifth of the time of a large group.
const UNDO: &str = "MEMORY";

/// Where the database is, and how to get at it.
pub(crate) struct Address {
    url: String,
    path: PathBuf,
    patience: Duration,
}

impl Address {
    /// Reads a URL.
    ///
    /// # Errors
    ///
    /// `Unsupported`, `BadUrl`.
    pub(crate) fn parse(url: &str, patience: Duration) -> Result<Self, StoreError> {
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            return Err(StoreError::Unsupported);
        }
        if !url.starts_with("sqlite:") || url.contains(":memory:") || url.contains("mode=memory") {
            return Err(StoreError::BadUrl);
        }
        let options = SqliteConnectOptions::from_str(url).map_err(|_| StoreError::BadUrl)?;
        let path = options.get_filename().to_owned();
        if path.as_os_str().is_empty() {
            return Err(StoreError::BadUrl);
        }
        Ok(Self { url: url.to_owned(), path, patience })
    }

    /// A file whatever its name, for [`Address::onlooker`].
    pub(crate) fn of_file(path: &Path, patience: Duration) -> Self {
        Self { url: "sqlite:".to_owned(), path: path.to_owned(), patience }
    }

    /// The one connection that writes.
    pub(crate) async fn writer(&self) -> Result<DatabaseConnection, StoreError> {
        let patience = self.patience;
        let mut options = self.options(1);
        options.map_sqlx_sqlite_opts(move |sqlite| {
            sqlite
                .busy_timeout(patience)
                .pragma("journal_mode", "WAL")
                .pragma("synchronous", "FULL")
                .pragma("cache_size", CACHE)
                .pragma("wal_autocheckpoint", CHECKPOINT)
                .pragma("temp_store", UNDO)
                .foreign_keys(true)
                .statement_cache_capacity(PREPARED)
                .row_buffer_size(512)
        });
        Database::connect(options).await.map_err(|error| self.explain(error.into()))
    }

    /// The connections that read.
    pub(crate) async fn readers(&self) -> Result<DatabaseConnection, StoreError> {
        let patience = self.patience;
        let mut options = self.options(READERS);
        options.map_sqlx_sqlite_opts(move |sqlite| {
            sqlite
                .busy_timeout(patience)
                .pragma("query_only", "ON")
                .statement_cache_capacity(PREPARED)
        });
        Database::connect(options).await.map_err(|error| self.explain(error.into()))
    }

    /// A connection that reads beside a server, and can change nothing.
    pub(crate) async fn onlooker(&self) -> Result<DatabaseConnection, StoreError> {
        let (path, patience) = (self.path.clone(), self.patience);
        let mut options = self.options(1);
        options.map_sqlx_sqlite_opts(move |sqlite| {
            sqlite.filename(&path).busy_timeout(patience).read_only(true).create_if_missing(false)
        });
        Database::connect(options).await.map_err(|error| self.explain(error.into()))
    }

    /// A connection that may write what is there already; it has not asked for anything yet.
    pub(crate) async fn toucher(&self) -> Result<DatabaseConnection, StoreError> {
        let patience = self.patience;
        let mut options = self.options(1);
        options.map_sqlx_sqlite_opts(move |sqlite| {
            sqlite.busy_timeout(patience).create_if_missing(false)
        });
        Database::connect(options).await.map_err(|error| self.explain(error.into()))
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file is there.
    ///
    /// # Errors
    ///
    /// `NoDirectory`, and `Missing` where the URL does not ask for the file to be made.
    pub(crate) fn exists(&self) -> Result<bool, StoreError> {
        if self.path.exists() {
            return Ok(true);
        }
        if !has_directory(&self.path) {
            return Err(StoreError::NoDirectory(self.path.clone()));
        }
        if self.url.contains("mode=rwc") { Ok(false) } else { Err(self.missing()) }
    }

    pub(crate) fn missing(&self) -> StoreError {
        StoreError::Missing(self.path.clone())
    }

    /// Makes sure that this server is the only one. The system gives the lock back when the process ends, however it ends.
    ///
    /// # Errors
    ///
    /// `InUse`, `ReadOnly`.
    pub(crate) fn lock(&self) -> Result<File, StoreError> {
        let mut name = self.path.clone().into_os_string();
        name.push("-lock");
        let file = File::create(PathBuf::from(name))
            .map_err(|_| StoreError::ReadOnly(self.path.clone()))?;
        file.try_lock().map_err(|_| StoreError::InUse(self.path.clone()))?;
        Ok(file)
    }

    fn options(&self, connections: u32) -> ConnectOptions {
        let mut options = ConnectOptions::new(&self.url);
        options
            .max_connections(connections)
            .min_connections(1)
            .acquire_timeout(Duration::from_secs(10))
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .sqlx_logging(false)
            // SQLite may undo a transaction by itself on a full disk, and the driver then still counts it as
            // open: such a connection is not used again.
            .map_sqlx_sqlite_pool_opts(|pool| {
                pool.before_acquire(|connection, _| {
                    let sound = !connection.is_in_transaction();
                    Box::pin(async move { Ok(sound) })
                })
            });
        options
    }

    /// What an error while opening means to who runs the server.
    pub(crate) fn explain(&self, error: StoreError) -> StoreError {
        let StoreError::Unavailable(Cause(cause)) = &error else { return error };
        let path = self.path.clone();
        match Trouble::of(cause) {
            Trouble::Busy => StoreError::Locked(path),
            Trouble::NotADatabase => StoreError::NotADatabase(path),
            Trouble::Damaged => StoreError::Damaged(path),
            Trouble::CannotOpen if !has_directory(&path) => StoreError::NoDirectory(path),
            Trouble::CannotOpen if path.is_dir() => StoreError::NotADatabase(path),
            Trouble::CannotOpen if !path.exists() && !self.url.contains("mode=rwc") => {
                self.missing()
            }
            Trouble::CannotOpen | Trouble::ReadOnly => StoreError::ReadOnly(path),
            Trouble::Other => error,
        }
    }
}

fn has_directory(path: &Path) -> bool {
    path.parent().is_none_or(|parent| parent.as_os_str().is_empty() || parent.is_dir())
}
