//! The one error of this crate. Its texts fit on a line, and hold no e-mail, no secret and no URL.

use std::path::PathBuf;

use sea_orm::{DbErr, RuntimeErr};

/// Why the store could not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The URL names a PostgreSQL database.
    #[error("PostgreSQL is not supported yet: use a sqlite:// URL")]
    Unsupported,
    /// The URL names no database file.
    #[error("the database URL must look like sqlite://presence.db?mode=rwc")]
    BadUrl,
    /// The directory of the database file is not there.
    #[error("the directory of the database {} does not exist", .0.display())]
    NoDirectory(PathBuf),
    /// The file is not there, and the URL does not ask for it to be made.
    #[error("the database {} does not exist (mode=rwc makes one)", .0.display())]
    Missing(PathBuf),
    /// The file is something else.
    #[error("{} is not a database", .0.display())]
    NotADatabase(PathBuf),
    /// Another process holds the database.
    #[error("the database {} is locked by another process", .0.display())]
    Locked(PathBuf),
    /// Another server uses the database. Two would not know of each other's devices.
    #[error("the database {} is in use by another server", .0.display())]
    InUse(PathBuf),
    /// The file, its directory or the URL allows reading only.
    #[error("the database {} cannot be written", .0.display())]
    ReadOnly(PathBuf),
    /// The file is a database of something else.
    #[error("the database {} is not one of Presence", .0.display())]
    Foreign(PathBuf),
    /// The file has come to harm.
    #[error("the database {} is damaged: restore a backup", .0.display())]
    Damaged(PathBuf),
    /// The file that a backup was to become is there already.
    #[error("{} is there already, and a backup overwrites nothing", .0.display())]
    Exists(PathBuf),
    /// A backup cannot be written.
    #[error("the backup {} cannot be written: {}", .0.display(), .1)]
    NotBackedUp(PathBuf, String),
    /// A newer server has changed the tables.
    #[error("the database is newer than this server: it has the unknown migration {0}")]
    TooNew(String),
    /// A row holds what no server writes.
    #[error("a row of the table {0} makes no sense")]
    Nonsense(&'static str),
    /// Too much waits for the writer already.
    #[error("too much waits to be written")]
    QueueFull,
    /// The writer has ended.
    #[error("the writer has stopped")]
    Stopped,
    /// The database refused or failed.
    #[error("the database is unavailable")]
    Unavailable(#[source] Cause),
}

/// What the database said.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub struct Cause(pub(crate) DbErr);

/// The primary result codes of SQLite that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    Busy,
    ReadOnly,
    Damaged,
    CannotOpen,
    NotADatabase,
    Other,
}

impl StoreError {
    /// Whether trying again at once would only wait again.
    pub(crate) fn is_busy(&self) -> bool {
        match self {
            Self::Unavailable(Cause(DbErr::ConnectionAcquire(_))) => true,
            Self::Unavailable(Cause(error)) => Trouble::of(error) == Trouble::Busy,
            Self::Unsupported
            | Self::BadUrl
            | Self::NoDirectory(_)
            | Self::Missing(_)
            | Self::NotADatabase(_)
            | Self::Locked(_)
            | Self::InUse(_)
            | Self::ReadOnly(_)
            | Self::Foreign(_)
            | Self::Damaged(_)
            | Self::Exists(_)
            | Self::NotBackedUp(..)
            | Self::TooNew(_)
            | Self::Nonsense(_)
            | Self::QueueFull
            | Self::Stopped => false,
        }
    }
}

impl Trouble {
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
        Self::Unavailable(Cause(error))
    }
}

/// SQLite's extended codes carry the primary one in their lowest byte.
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
