//! The size of the files of a SQLite database.

use std::path::PathBuf;

use super::connection::{BUSY_TIMEOUT, DatabaseFile};

/// The number of bytes of the files of a SQLite database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatabaseSize {
    /// The database file.
    pub database: u64,
    /// Its log (`-wal`), which does not exist while nothing has the database open.
    pub log: u64,
}

impl DatabaseSize {
    /// Reads the sizes. Returns `None` if the URL is not that of a SQLite database that exists.
    pub fn read(url: &str) -> Option<Self> {
        let file = DatabaseFile::parse(url, BUSY_TIMEOUT).ok()?;
        // The log is beside the file itself, not beside a symbolic link to it.
        let path = file.path().canonicalize().ok()?;
        let database = path.metadata().ok()?.len();
        let mut log = path.into_os_string();
        log.push("-wal");
        let log = PathBuf::from(log).metadata().map_or(0, |log| log.len());
        Some(Self { database, log })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_measured_also_by_a_symbolic_link() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("presence.db"), [0; 40]).unwrap();
        std::fs::write(path("presence.db-wal"), [0; 2]).unwrap();
        std::os::unix::fs::symlink(path("presence.db"), path("link.db")).unwrap();
        let size = Some(DatabaseSize { database: 40, log: 2 });
        for name in ["presence.db", "link.db"] {
            let url = format!("sqlite://{}?mode=rwc", path(name).display());
            assert_eq!(DatabaseSize::read(&url), size, "{name}");
        }
        std::fs::remove_file(path("presence.db-wal")).unwrap();
        let url = format!("sqlite://{}", path("presence.db").display());
        assert_eq!(DatabaseSize::read(&url), Some(DatabaseSize { database: 40, log: 0 }));
    }

    #[test]
    fn other_databases_have_no_size() {
        for url in ["postgres://presence@localhost/presence", "sqlite:///nowhere/presence.db", ""] {
            assert_eq!(DatabaseSize::read(url), None, "{url}");
        }
    }
}
