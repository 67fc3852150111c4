//! The interface of a storage, and what is counted about one.

use std::fmt;
use std::io;

/// A place for one small document, such as a file or a row of a database. A storage holds the
/// document of one channel.
///
/// The functions may block: they are called on a thread for blocking work, one call at a time. An
/// error is logged and counted, and never ends a channel.
pub trait Storage: Send + Sync + 'static {
    /// Returns the document that was saved last, or `None` if there is none.
    ///
    /// # Errors
    ///
    /// The error of the storage. The channel begins as without a document.
    fn load(&self) -> io::Result<Option<Vec<u8>>>;

    /// Replaces the document. After a crash the storage has to hold either the earlier document or
    /// this one.
    ///
    /// # Errors
    ///
    /// The error of the storage. A later change is saved all the same.
    fn save(&self, document: &[u8]) -> io::Result<()>;
}

/// The counters of the storage of a channel or a map.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StorageCounters {
    /// The documents that were saved.
    pub saves: u64,
    /// The calls of the storage that failed.
    pub errors: u64,
    /// The documents that were ignored because they were damaged, too large or of a newer version.
    pub ignored: u64,
}

impl fmt::Debug for dyn Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Storage")
    }
}
