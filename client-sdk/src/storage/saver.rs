//! Loading and saving on threads for blocking work.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::runtime::Handle;

use super::document::{self, Document};
use super::place::{Storage, StorageCounters};

/// A storage with its counters. Its users make one call at a time.
#[derive(Debug, Clone)]
pub(crate) struct Saver {
    storage: Arc<dyn Storage>,
    runtime: Handle,
    meters: Arc<StorageMeters>,
}

#[derive(Debug, Default)]
struct StorageMeters {
    saves: AtomicU64,
    errors: AtomicU64,
    ignored: AtomicU64,
}

impl Saver {
    pub(crate) fn new(storage: Arc<dyn Storage>, runtime: Handle) -> Self {
        Self { storage, runtime, meters: Arc::default() }
    }

    /// Loads the document. Returns `None` if there is none, or none that can be read.
    pub(crate) async fn load<D: Document>(&self) -> Option<D> {
        let storage = Arc::clone(&self.storage);
        let document = match self.call(move || storage.load()).await {
            Ok(document) => document?,
            Err(error) => {
                self.count_error("the storage cannot be loaded", &error);
                return None;
            }
        };
        let content = document::decode(&document);
        if content.is_none() {
            self.meters.ignored.fetch_add(1, Ordering::Relaxed);
            tracing::warn!("the stored document cannot be read and is ignored");
        }
        content
    }

    /// Saves a document, which `content` creates on the thread for blocking work.
    pub(crate) async fn save<D: Document>(&self, content: impl FnOnce() -> D + Send + 'static) {
        let storage = Arc::clone(&self.storage);
        let save = move || storage.save(&document::encode(&content())?);
        match self.call(save).await {
            Ok(()) => {
                self.meters.saves.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => self.count_error("the storage cannot be saved", &error),
        }
    }

    pub(crate) fn counters(&self) -> StorageCounters {
        StorageCounters {
            saves: self.meters.saves.load(Ordering::Relaxed),
            errors: self.meters.errors.load(Ordering::Relaxed),
            ignored: self.meters.ignored.load(Ordering::Relaxed),
        }
    }

    /// Makes a call that may block. A panic counts as an error.
    async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let called = self.runtime.spawn_blocking(call).await;
        called.unwrap_or_else(|_| Err(io::Error::other("the storage panicked")))
    }

    fn count_error(&self, what: &'static str, error: &io::Error) {
        self.meters.errors.fetch_add(1, Ordering::Relaxed);
        // The text of the error may have a path, which says more about the machine than needed.
        tracing::warn!(kind = ?error.kind(), "{what}");
    }
}
