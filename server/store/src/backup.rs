//! Copies a database while a server uses it.

use std::fs::File;
use std::path::{Path, PathBuf};

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use tempfile::{Builder, NamedTempFile};

use crate::connection::{Address, PATIENCE};
use crate::error::StoreError;
use crate::inspection::is_sound;
use crate::migration;
use crate::store::Store;

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// The newest step that its tables have taken.
    pub schema: String,
    /// Its length.
    pub bytes: u64,
}

impl Store {
    /// Copies the database at a `sqlite:` URL to a new file: as it was at one moment after the call began, so with everything
    /// that was committed before. A server may use it meanwhile, and is not held up: a reader waits for no writer, nor a writer for
    /// a reader. The file appears under its name when it is whole, checked and on disk; only its owner may read it.
    ///
    /// # Errors
    ///
    /// `Exists`, `NotBackedUp`, `Foreign`, `Damaged`; `Unsupported`, `BadUrl`, `NoDirectory`, `Missing`, `NotADatabase`, `Unavailable`.
    pub async fn back_up(url: &str, to: &Path) -> Result<Backup, StoreError> {
        let address = Address::parse(url, PATIENCE)?;
        if !address.exists()? {
            return Err(address.missing());
        }
        if to.exists() {
            return Err(StoreError::Exists(to.to_owned()));
        }
        let source = address.onlooker().await?;
        let applied = migration::applied(&source).await.map_err(|error| address.explain(error))?;
        let Some(schema) = applied.into_iter().next_back() else {
            return Err(StoreError::Foreign(address.path().to_owned()));
        };
        let part = Part::new(to)?;
        part.fill_from(&source).await?;
        source.close_by_ref().await?;
        let bytes = part.check_and_keep().await?;
        Ok(Backup { schema, bytes })
    }
}

/// A backup that is not whole yet: a file beside the place where it will be, and gone where something fails.
struct Part {
    file: NamedTempFile,
    directory: PathBuf,
    to: PathBuf,
}

impl Part {
    fn new(to: &Path) -> Result<Self, StoreError> {
        let failed = |error| failed(to, &error);
        let whole = std::path::absolute(to).map_err(failed)?;
        let directory = whole.parent().unwrap_or(Path::new("/")).to_owned();
        let file = Builder::new().prefix(".presence-backup-").tempfile_in(&directory);
        Ok(Self { file: file.map_err(failed)?, directory, to: to.to_owned() })
    }

    /// SQLite's own copy is of one moment, and leaves out what was deleted.
    async fn fill_from(&self, source: &DatabaseConnection) -> Result<(), StoreError> {
        let path = self.file.path().to_str().ok_or("its name is no text");
        let path = path.map_err(|problem| failed(&self.to, &problem))?;
        let copy =
            Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO ?", [path.into()]);
        source.execute_raw(copy).await.map_err(|error| failed(&self.to, &error))?;
        Ok(())
    }

    async fn check_and_keep(self) -> Result<u64, StoreError> {
        let Self { file, directory, to } = self;
        let copy = Address::of_file(file.path(), PATIENCE).onlooker().await?;
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
        // The name is to last as long as the file.
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
        Ok(bytes)
    }
}

fn failed(to: &Path, error: &impl ToString) -> StoreError {
    StoreError::NotBackedUp(to.to_owned(), error.to_string())
}
