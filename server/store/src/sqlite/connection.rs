//! Opens the database file: one connection that writes, and a few that read.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sea_orm::sqlx::Connection;
use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use sea_orm::{ConnectOptions, Database, DatabaseConnection};

use crate::error::{Cause, ErrorKind, StoreError};

/// The time for which a connection waits for a lock of another process.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The time for which the connection that writes waits for such a lock in SQLite, where it blocks
/// everything else that needs the connection. Longer waits are repeated attempts.
const WRITER_BUSY_TIMEOUT: Duration = Duration::from_millis(20);

/// The number of connections that read.
const READ_CONNECTIONS: u32 = 4;

/// The number of prepared statements that a connection keeps. Multi-row statements of many lengths
/// are large and seldom reused.
const CACHED_STATEMENTS: usize = 40;

/// The page cache of the writer: 8,192 KiB, where the minus sign means KiB instead of pages. Each
/// notification touches several pages all over its indexes.
const CACHE_SIZE: &str = "-8192";

/// The page cache of each connection that reads. It holds the upper levels of the indexes; the
/// system caches the file itself.
const READER_CACHE_SIZE: &str = "-512";

/// The number of log pages of 4 KiB after which the log is written back into the file. A page that
/// many transactions changed is then written once. With the default of 1,000, checkpoints took most
/// of the time.
const CHECKPOINT_PAGES: &str = "8000";

/// The number of bytes to which the log is cut after it was written back. While somebody reads,
/// such as a backup, the log grows, and would keep that size.
const LOG_BYTES: &str = "67108864";

/// The place of the statement journal, with which SQLite can undo a single statement of many rows.
/// By default a journal beyond 64 KiB goes into a file, which took a fifth of the time of a large
/// group.
const STATEMENT_JOURNAL: &str = "MEMORY";

/// The file of a database, with the options to open it.
pub(crate) struct DatabaseFile {
    url: String,
    path: PathBuf,
    busy_timeout: Duration,
}

impl DatabaseFile {
    /// Parses a `sqlite:` URL.
    ///
    /// # Errors
    ///
    /// `BadUrl`.
    pub(crate) fn parse(url: &str, busy_timeout: Duration) -> Result<Self, StoreError> {
        if !url.starts_with("sqlite:") || url.contains(":memory:") || url.contains("mode=memory") {
            return Err(StoreError::BadUrl);
        }
        let options = SqliteConnectOptions::from_str(url).map_err(|_| StoreError::BadUrl)?;
        let path = options.get_filename().to_owned();
        if path.as_os_str().is_empty() {
            return Err(StoreError::BadUrl);
        }
        Ok(Self { url: url.to_owned(), path, busy_timeout })
    }

    /// Returns the file at a path of any form, for [`DatabaseFile::open_read_only`].
    pub(crate) fn at_path(path: &Path, busy_timeout: Duration) -> Self {
        Self { url: "sqlite:".to_owned(), path: path.to_owned(), busy_timeout }
    }

    /// Opens the only connection that writes.
    pub(crate) async fn open_writer(&self) -> Result<DatabaseConnection, StoreError> {
        if self.url.contains("mode=rwc") {
            // SQLite creates its other files with the mode of this one. It also explains better
            // why a file cannot be created.
            create_private(&self.path).ok();
        }
        let mut options = self.options(1);
        options.map_sqlx_sqlite_opts(move |sqlite| {
            sqlite
                .busy_timeout(WRITER_BUSY_TIMEOUT)
                .pragma("journal_mode", "WAL")
                .pragma("synchronous", "FULL")
                .pragma("cache_size", CACHE_SIZE)
                .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
                .pragma("journal_size_limit", LOG_BYTES)
                .pragma("temp_store", STATEMENT_JOURNAL)
                .foreign_keys(true)
                .statement_cache_capacity(CACHED_STATEMENTS)
                .row_buffer_size(512)
        });
        Database::connect(options).await.map_err(|error| self.explain(error.into()))
    }

    /// Opens the connections that read.
    pub(crate) async fn open_readers(&self) -> Result<DatabaseConnection, StoreError> {
        let busy_timeout = self.busy_timeout;
        let mut options = self.options(READ_CONNECTIONS);
        options.map_sqlx_sqlite_opts(move |sqlite| {
            sqlite
                .busy_timeout(busy_timeout)
                .pragma("query_only", "ON")
                .pragma("cache_size", READER_CACHE_SIZE)
                .statement_cache_capacity(CACHED_STATEMENTS)
        });
        Database::connect(options).await.map_err(|error| self.explain(error.into()))
    }

    /// Opens a connection that only reads, also while a server runs.
    pub(crate) async fn open_read_only(&self) -> Result<DatabaseConnection, StoreError> {
        let (path, busy_timeout) = (self.path.clone(), self.busy_timeout);
        let mut options = self.options(1);
        options.map_sqlx_sqlite_opts(move |sqlite| {
            sqlite
                .filename(&path)
                .busy_timeout(busy_timeout)
                .read_only(true)
                .create_if_missing(false)
        });
        Database::connect(options).await.map_err(|error| self.explain(error.into()))
    }

    /// Opens a connection that may write to an existing file.
    pub(crate) async fn open_existing(&self) -> Result<DatabaseConnection, StoreError> {
        let busy_timeout = self.busy_timeout;
        let mut options = self.options(1);
        options.map_sqlx_sqlite_opts(move |sqlite| {
            sqlite.busy_timeout(busy_timeout).create_if_missing(false)
        });
        Database::connect(options).await.map_err(|error| self.explain(error.into()))
    }

    /// Returns the URL.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Returns the path of the file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns true if the file exists.
    ///
    /// # Errors
    ///
    /// `NoDirectory`, and `Missing` if the URL does not allow to create the file.
    pub(crate) fn exists(&self) -> Result<bool, StoreError> {
        if self.path.exists() {
            return Ok(true);
        }
        if !has_directory(&self.path) {
            return Err(StoreError::NoDirectory(self.path.clone()));
        }
        if self.url.contains("mode=rwc") { Ok(false) } else { Err(self.missing()) }
    }

    /// Checks that there is a file to copy, whether or not the URL allows to create one.
    ///
    /// # Errors
    ///
    /// `NoDirectory`, `NoSource`.
    pub(crate) fn must_exist(&self) -> Result<(), StoreError> {
        match self.exists() {
            Ok(true) => Ok(()),
            Ok(false) | Err(StoreError::Missing(_)) => Err(StoreError::NoSource(self.path.clone())),
            Err(error) => Err(error),
        }
    }

    fn missing(&self) -> StoreError {
        StoreError::Missing(self.path.clone())
    }

    /// Takes the lock that only one server can hold. The system releases it at the end of the
    /// process, also after a crash.
    ///
    /// # Errors
    ///
    /// `InUse`, `NoLock`.
    pub(crate) fn lock(&self) -> Result<File, StoreError> {
        let path = self.lock_path();
        let file = create_private(&path).map_err(|error| no_lock(path, &error))?;
        self.try_lock(file)
    }

    /// Takes the same lock if its file exists. If not, no server has used the database yet, and a
    /// file without a name shows that the lock could be created: nothing stays behind that the
    /// account of the server could not open.
    ///
    /// # Errors
    ///
    /// `InUse`, `NoLock`.
    pub(crate) fn lock_existing(&self) -> Result<Option<File>, StoreError> {
        let path = self.lock_path();
        match OpenOptions::new().write(true).open(&path) {
            Ok(file) => self.try_lock(file).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                tempfile::tempfile_in(directory.unwrap_or(Path::new(".")))
                    .map(|_| None)
                    .map_err(|error| no_lock(path, &error))
            }
            Err(error) => Err(no_lock(path, &error)),
        }
    }

    /// Returns the path of the lock, which is beside the file itself, not beside a symbolic link to
    /// it.
    fn lock_path(&self) -> PathBuf {
        let path = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
        let mut name = path.into_os_string();
        name.push("-lock");
        name.into()
    }

    fn try_lock(&self, file: File) -> Result<File, StoreError> {
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
            // On a full disk SQLite may roll back by itself, and the driver still counts the
            // transaction as open: such a connection is not used again.
            .map_sqlx_sqlite_pool_opts(|pool| {
                pool.before_acquire(|connection, _| {
                    let is_reusable = !connection.is_in_transaction();
                    Box::pin(async move { Ok(is_reusable) })
                })
            });
        options
    }

    /// Translates an error while opening into one that an operator understands.
    pub(crate) fn explain(&self, error: StoreError) -> StoreError {
        let StoreError::Unavailable(Cause(cause)) = &error else { return error };
        let path = self.path.clone();
        match ErrorKind::of(cause) {
            ErrorKind::Busy => StoreError::Locked(path),
            ErrorKind::NotADatabase => StoreError::NotADatabase(path),
            ErrorKind::Damaged => StoreError::Damaged(path),
            ErrorKind::CannotOpen if !has_directory(&path) => StoreError::NoDirectory(path),
            ErrorKind::CannotOpen if path.is_dir() => StoreError::NotADatabase(path),
            ErrorKind::CannotOpen if !path.exists() && !self.url.contains("mode=rwc") => {
                self.missing()
            }
            ErrorKind::CannotOpen | ErrorKind::ReadOnly => StoreError::ReadOnly(path),
            ErrorKind::Full
            | ErrorKind::Conflict
            | ErrorKind::TimedOut
            | ErrorKind::Lost
            | ErrorKind::Tls
            | ErrorKind::Pooled
            | ErrorKind::NotAuthenticated
            | ErrorKind::NoDatabase
            | ErrorKind::NoRights
            | ErrorKind::TooManyConnections
            | ErrorKind::Other => error,
        }
    }
}

/// Opens a file for writing, without changing its content. Only its owner may read a new one.
fn create_private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Describes a lock that cannot be opened, with its owner, who may be another account that once ran
/// a command.
fn no_lock(path: PathBuf, error: &std::io::Error) -> StoreError {
    let owner = owner(&path).map(|owner| {
        format!("; it belongs to the user with the id {owner}: give it to the user of the server")
    });
    StoreError::NoLock(path, format!("{error}{}", owner.unwrap_or_default()))
}

/// Returns the id of the user to whom a file belongs.
#[cfg(unix)]
fn owner(path: &Path) -> Option<u32> {
    std::fs::metadata(path).ok().map(|found| std::os::unix::fs::MetadataExt::uid(&found))
}

#[cfg(not(unix))]
fn owner(_: &Path) -> Option<u32> {
    None
}

fn has_directory(path: &Path) -> bool {
    path.parent().is_none_or(|parent| parent.as_os_str().is_empty() || parent.is_dir())
}
