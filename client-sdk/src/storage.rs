//! The storage in which a program keeps a small document over its restarts.

mod document;
mod file_storage;
mod place;
mod saver;

pub(crate) use document::{StoredDevice, StoredUsers};
pub use file_storage::FileStorage;
pub use place::{Storage, StorageCounters};
pub(crate) use saver::Saver;
