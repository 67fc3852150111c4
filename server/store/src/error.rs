//! The error of this crate. Its texts fit on one line, and contain no e-mail, secret or URL.

use std::path::PathBuf;

use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr};

/// A failed operation of the store.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The URL names a PostgreSQL database.
    #[error("PostgreSQL is not supported yet: use a sqlite:// URL")]
    Unsupported,
    /// The URL names no database file.
    #[error("the database URL must look like sqlite://presence.db?mode=rwc")]
    BadUrl,
    /// The directory of the database file does not exist.
    #[error("the directory of the database {} does not exist", .0.display())]
    NoDirectory(PathBuf),
    /// The file does not exist, and the URL does not allow to create it.
    #[error("the database {} does not exist: add ?mode=rwc to the URL to create it", .0.display())]
    Missing(PathBuf),
    /// The file is not a SQLite database.
    #[error("{} is not a SQLite database", .0.display())]
    NotADatabase(PathBuf),
    /// Another process holds the database.
    #[error("the database {} is locked by another process", .0.display())]
    Locked(PathBuf),
    /// Another server uses the database. Two servers would not see each other's devices.
    #[error("the database {} is in use by another server", .0.display())]
    InUse(PathBuf),
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

/// The primary result codes of SQLite that are handled differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    Busy,
    ReadOnly,
    Damaged,
    CannotOpen,
    NotADatabase,
    Other,
}

impl StoreError {
    /// Returns true if another try at once would only wait again.
    pub(crate) fn is_busy(&self) -> bool {
        match self {
            Self::TooLate | Self::Locked(_) => true,
            Self::Unavailable(Cause(error)) => ErrorKind::of(error) == ErrorKind::Busy,
            Self::Unsupported
            | Self::BadUrl
            | Self::NoDirectory(_)
            | Self::Missing(_)
            | Self::NotADatabase(_)
            | Self::InUse(_)
            | Self::ReadOnly(_)
            | Self::Foreign(_)
            | Self::Damaged(_)
            | Self::Exists(_)
            | Self::NotBackedUp(..)
            | Self::TooNew(_)
            | Self::CorruptRow(_)
            | Self::QueueFull
            | Self::Stopped => false,
        }
    }
}

impl ErrorKind {
    pub(crate) fn of(error: &DbErr) -> Self {
        match primary_code(error) {
            Some(5 | 6) => Self::Busy,
            Some(8) => Self::ReadOnly,
            Some(11) => Self::Damaged,
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

/// Returns the primary result code, which is the lowest byte of SQLite's extended codes.
fn primary_code(error: &DbErr) -> Option<u32> {
    let (DbErr::Conn(RuntimeErr::SqlxError(error))
    | DbErr::Exec(RuntimeErr::SqlxError(error))
    | DbErr::Query(RuntimeErr::SqlxError(error))) = error
    else {
        return None;
    };
    let code: u32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}
