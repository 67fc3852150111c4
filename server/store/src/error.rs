//! The error of this crate. Its texts fit on one line, and contain no e-mail, secret or URL.

use std::path::PathBuf;

use sea_orm::sqlx;
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr};

use crate::postgres;

/// A failed operation of the store.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The URL names no database.
    #[error(
        "the database URL must look like sqlite://presence.db?mode=rwc or \
         postgres://user@host/presence"
    )]
    BadUrl,
    /// The command is only for SQLite.
    #[error("a backup of PostgreSQL is made with its own tools, pg_basebackup or pg_dump")]
    OnlySqlite,
    /// The PostgreSQL server does not answer.
    #[error("the database {0} cannot be reached")]
    Unreachable(String),
    /// The PostgreSQL server does not offer TLS, or its certificate is not accepted.
    #[error("the database {0} cannot be reached with TLS as sslmode asks for")]
    NoTls(String),
    /// The PostgreSQL server does not accept the user or the password.
    #[error("the database {0} refuses the user or the password")]
    NotAuthenticated(String),
    /// The PostgreSQL server has no such database.
    #[error("the database {0} does not exist: create it")]
    NoDatabase(String),
    /// The user of the PostgreSQL database may not create or change its tables.
    #[error("the database {0} does not let this user create and change tables")]
    NoRights(String),
    /// The PostgreSQL server has all its connections.
    #[error("the database {0} has no free connection: raise max_connections")]
    TooManyConnections(String),
    /// The PostgreSQL server only reads: it is a standby.
    #[error("the database {0} is read-only: it is a standby, or set to be read-only")]
    Standby(String),
    /// A notification that one connection sends does not reach another one.
    #[error(
        "notifications of PostgreSQL do not arrive from the database {0}: \
         a proxy that pools transactions must not be between"
    )]
    PooledTransactions(String),
    /// The PostgreSQL server is too old.
    #[error("PostgreSQL {0} is too old: version 14 or newer is needed")]
    OldServer(String),
    /// The PostgreSQL database does not store UTF-8.
    #[error("the database {0} has the encoding {1}: create it with UTF8")]
    NotUtf8(String, String),
    /// The directory of the database file does not exist.
    #[error("the directory of the database {} does not exist", .0.display())]
    NoDirectory(PathBuf),
    /// The file does not exist, and the URL does not allow to create it.
    #[error("the database {} does not exist: add ?mode=rwc to the URL to create it", .0.display())]
    Missing(PathBuf),
    /// The database that is to be copied does not exist.
    #[error("the database {} does not exist", .0.display())]
    NoSource(PathBuf),
    /// The file is not a SQLite database.
    #[error("{} is not a SQLite database", .0.display())]
    NotADatabase(PathBuf),
    /// Another process holds the database.
    #[error("the database {} is locked by another process", .0.display())]
    Locked(PathBuf),
    /// Another server uses the database. Two servers would not see each other's devices.
    #[error("the database {} is in use by another server", .0.display())]
    InUse(PathBuf),
    /// The file that shows whether a server uses the database cannot be opened or created.
    #[error("the lock file {} cannot be opened: {}", .0.display(), .1)]
    NoLock(PathBuf, String),
    /// The file, its directory or the URL allows reading only.
    #[error("the database {} cannot be written", .0.display())]
    ReadOnly(PathBuf),
    /// The file is a database of another program.
    #[error("the database {} does not belong to Presence", .0.display())]
    Foreign(PathBuf),
    /// The file is corrupted.
    #[error("the database {} is damaged: restore a backup", .0.display())]
    Damaged(PathBuf),
    /// The file of a new backup exists already.
    #[error("{} exists already, and a backup does not overwrite files", .0.display())]
    Exists(PathBuf),
    /// A backup cannot be written.
    #[error("the backup {} cannot be written: {}", .0.display(), .1)]
    NotBackedUp(PathBuf, String),
    /// The database has users, so no other database is copied to it.
    #[error("the database {0} is not empty: a copy needs a database without users")]
    NotEmpty(String),
    /// A copy is made from SQLite to PostgreSQL.
    #[error("a copy is made from a sqlite: database to a postgres: database")]
    NoCopy,
    /// Other servers that share the database have other settings.
    #[error("the servers that share the database have other settings: {0}")]
    OtherSettings(String),
    /// A newer server has migrated the tables.
    #[error("the database is newer than this server: it has the unknown migration {0}")]
    TooNew(String),
    /// A row holds values that no server writes.
    #[error("the database table {0} contains an invalid row")]
    CorruptRow(&'static str),
    /// The queue of the writer is full.
    #[error("too many writes are waiting")]
    QueueFull,
    /// The database did not answer before the deadline of the call.
    #[error("the database did not answer in time")]
    TooLate,
    /// The writer has stopped.
    #[error("the writer has stopped")]
    Stopped,
    /// The database failed.
    #[error("the database is unavailable")]
    Unavailable(#[source] Cause),
}

/// The error of the database.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub struct Cause(pub(crate) DbErr);

/// The errors of a database that are handled differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    /// Another process holds the lock of the file.
    Busy,
    /// The transaction met another one, and may succeed if it is tried again.
    Conflict,
    /// The server ended a statement that took too long.
    TimedOut,
    /// The connection is lost.
    Lost,
    Tls,
    NotAuthenticated,
    NoDatabase,
    NoRights,
    TooManyConnections,
    /// A proxy between refuses the settings of the connection.
    Pooled,
    Full,
    ReadOnly,
    Damaged,
    CannotOpen,
    NotADatabase,
    Other,
}

impl StoreError {
    /// Returns true if another try at once would only wait again.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self, Self::TooLate | Self::Locked(_)) || self.kind() == Some(ErrorKind::Busy)
    }

    /// Returns true if the transaction met another one, so that another try may succeed.
    pub(crate) fn is_conflict(&self) -> bool {
        self.kind() == Some(ErrorKind::Conflict)
    }

    /// Returns the kind of an error of the database.
    pub(crate) fn kind(&self) -> Option<ErrorKind> {
        if let Self::Unavailable(Cause(error)) = self { Some(ErrorKind::of(error)) } else { None }
    }
}

impl ErrorKind {
    pub(crate) fn of(error: &DbErr) -> Self {
        if let Some(kind) = postgres::error::kind(error) {
            return kind;
        }
        match primary_code(error) {
            Some(5 | 6) => Self::Busy,
            Some(8) => Self::ReadOnly,
            Some(11) => Self::Damaged,
            Some(13) => Self::Full,
            Some(14) => Self::CannotOpen,
            Some(26) => Self::NotADatabase,
            Some(_) | None => Self::Other,
        }
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        if matches!(error, DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)) {
            return Self::TooLate;
        }
        Self::Unavailable(Cause(error))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        DbErr::Conn(RuntimeErr::SqlxError(error.into())).into()
    }
}

/// Returns the error of the driver.
pub(crate) fn sqlx_error(error: &DbErr) -> Option<&sqlx::Error> {
    let (DbErr::Conn(RuntimeErr::SqlxError(error))
    | DbErr::Exec(RuntimeErr::SqlxError(error))
    | DbErr::Query(RuntimeErr::SqlxError(error))) = error
    else {
        return None;
    };
    Some(error)
}

/// Returns the primary result code, which is the lowest byte of SQLite's extended codes.
fn primary_code(error: &DbErr) -> Option<u32> {
    let code: u32 = sqlx_error(error)?.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}
