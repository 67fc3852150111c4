//! Backups: copies of a SQLite database that a server may be using.

use std::fs::File;
use std::path::{Path, PathBuf};

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use tempfile::{Builder, NamedTempFile};

use super::connection::{BUSY_TIMEOUT, DatabaseFile};
use super::inspection::is_sound;
use crate::error::StoreError;
use crate::migration;

/// A finished backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// The newest migration of its tables.
    pub schema: String,
    /// The size of the file in bytes.
    pub bytes: u64,
}

/// Copies a database to a new file.
pub(crate) async fn back_up(file: &DatabaseFile, to: &Path) -> Result<Backup, StoreError> {
    file.must_exist()?;
    if to.exists() {
        return Err(StoreError::Exists(to.to_owned()));
    }
    let source = file.open_read_only().await?;
    let applied = migration::applied(&source).await.map_err(|error| file.explain(error))?;
    let Some(schema) = applied.into_iter().next_back() else {
        return Err(StoreError::Foreign(file.path().to_owned()));
    };
    let partial = PartialBackup::new(to)?;
    partial.fill_from(&source).await?;
    source.close_by_ref().await?;
    let bytes = partial.check_and_keep().await?;
    Ok(Backup { schema, bytes })
}

/// A backup in progress: a temporary file beside the final path, removed if something fails.
struct PartialBackup {
    file: NamedTempFile,
    directory: PathBuf,
    to: PathBuf,
}

impl PartialBackup {
    fn new(to: &Path) -> Result<Self, StoreError> {
        let failed = |error| failed(to, &error);
        let whole = std::path::absolute(to).map_err(failed)?;
        let directory = whole.parent().unwrap_or(Path::new("/")).to_owned();
        let file = Builder::new().prefix(".presence-backup-").tempfile_in(&directory);
        Ok(Self { file: file.map_err(failed)?, directory, to: to.to_owned() })
    }

    /// Copies the source. SQLite's own copy is the state of one moment, without deleted content.
    async fn fill_from(&self, source: &DatabaseConnection) -> Result<(), StoreError> {
        let path = self.file.path().to_str().ok_or("its path is not UTF-8");
        let path = path.map_err(|problem| failed(&self.to, &problem))?;
        let copy =
            Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO ?", [path.into()]);
        source.execute_raw(copy).await.map_err(|error| failed(&self.to, &error))?;
        Ok(())
    }

    async fn check_and_keep(self) -> Result<u64, StoreError> {
        let Self { file, directory, to } = self;
        let copy = DatabaseFile::at_path(file.path(), BUSY_TIMEOUT).open_read_only().await?;
        let sound = is_sound(&copy).await;
        copy.close_by_ref().await?;
        if !sound? {
            return Err(StoreError::Damaged(to));
        }
        let failed = |error| failed(&to, &error);
        file.as_file().sync_all().map_err(failed)?;
        let bytes = file.as_file().metadata().map_err(failed)?.len();
        if let Err(error) = file.persist_noclobber(&to) {
            let taken = error.error.kind() == std::io::ErrorKind::AlreadyExists;
            return Err(if taken { StoreError::Exists(to) } else { failed(error.error) });
        }
        // The directory entry must be as durable as the file.
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
        Ok(bytes)
    }
}

fn failed(to: &Path, error: &impl ToString) -> StoreError {
    StoreError::NotBackedUp(to.to_owned(), error.to_string())
}
