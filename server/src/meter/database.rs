//! The size of the database, if it is a file.

use std::sync::Arc;

use metrics::gauge;
use presence_service::DatabaseSize;

use super::number::to_f64;

/// The reader of the size of the database.
#[derive(Clone)]
pub(super) struct DatabaseMeter {
    url: Arc<str>,
}

impl DatabaseMeter {
    /// Creates a reader for the database with a URL.
    pub(super) fn new(url: &str) -> Self {
        Self { url: url.into() }
    }

    /// Updates the metrics. A database of PostgreSQL has none.
    pub(super) fn update(&self) {
        let Some(DatabaseSize { database, log }) = DatabaseSize::read(&self.url) else { return };
        for (file, bytes) in [("database", database), ("log", log)] {
            gauge!("presence_database_bytes", "file" => file).set(to_f64(bytes));
        }
    }
}
