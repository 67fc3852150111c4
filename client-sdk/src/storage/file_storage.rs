//! A storage in a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::place::Storage;

/// The maximum size of a document that is read.
pub(super) const MAX_BYTES: u64 = 64 << 20;

/// A storage in a file, which only the owner can read. The file is replaced atomically: after a
/// crash it holds either the earlier document or the new one. The new one is first written to a
/// file beside it with the suffix `.new`. Only one program at a time may use a file.
#[derive(Debug, Clone)]
pub struct FileStorage {
    path: PathBuf,
}

impl FileStorage {
    /// Returns a storage in the file at this path. The folder has to exist, the file does not.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    fn write_and_replace(&self, document: &[u8]) -> io::Result<()> {
        let mut new = self.path.clone().into_os_string();
        new.push(".new");
        let new = PathBuf::from(new);
        // A file of a crashed program may have other permissions.
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = create_private(&new)?;
        file.write_all(document)?;
        file.sync_all()?;
        std::fs::rename(&new, &self.path)?;
        sync_folder(&self.path)
    }
}

impl Storage for FileStorage {
    fn load(&self) -> io::Result<Option<Vec<u8>>> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut document = Vec::new();
        // A byte more than allowed shows that the document is too large.
        file.take(MAX_BYTES + 1).read_to_end(&mut document)?;
        Ok(Some(document))
    }

    fn save(&self, document: &[u8]) -> io::Result<()> {
        self.write_and_replace(document)
    }
}

fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Writes the new entry of the folder to disk, where the system can do that.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_document_is_loaded_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let storage = FileStorage::new(folder.path().join("presence.json"));
        assert_eq!(storage.load().unwrap(), None);
        for document in [b"first".as_slice(), b"second"] {
            storage.save(document).unwrap();
            assert_eq!(storage.load().unwrap().as_deref(), Some(document));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_the_file_also_after_a_crash_left_another_one() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("presence.json");
        std::fs::write(folder.path().join("presence.json.new"), "half a docu").unwrap();
        FileStorage::new(&path).save(b"document").unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read(path).unwrap(), b"document");
    }

    #[test]
    fn a_failed_save_is_an_error_and_keeps_the_earlier_document() {
        let folder = tempfile::tempdir().unwrap();
        let storage = FileStorage::new(folder.path().join("none/presence.json"));
        assert!(storage.save(b"document").is_err());
        let storage = FileStorage::new(folder.path().join("presence.json"));
        storage.save(b"first").unwrap();
        std::fs::create_dir(folder.path().join("presence.json.new")).unwrap();
        assert!(storage.save(b"second").is_err());
        assert_eq!(storage.load().unwrap().as_deref(), Some(b"first".as_slice()));
    }
}
