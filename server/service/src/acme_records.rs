//! The records of ACME in the database, for the part of the server that orders certificates.

use std::sync::Arc;
use std::time::Duration;

use presence_core::{Clock, Steady, UnixMillis};
use presence_store::{AcmeRecord, AcmeRecordKind, Store, StoreError};

/// The number of random bytes that tell the servers of a database apart.
const HOLDER_BYTES: usize = 16;

/// The records of ACME, which all servers of a database share.
#[derive(Clone)]
pub struct AcmeRecords {
    store: Store,
    clock: Arc<dyn Clock>,
    /// The name under which this server takes the lease.
    holder: [u8; HOLDER_BYTES],
}

impl AcmeRecords {
    pub(crate) fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        // A server that is alone is the only one that can have taken the lease, also before a
        // crash.
        let holder = if store.live().is_some() { rand::random() } else { [0; HOLDER_BYTES] };
        Self { store, clock, holder }
    }

    /// Returns the time of the database, which is the same for all servers, or that of a server
    /// that is alone.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn now(&self) -> Result<UnixMillis, StoreError> {
        match self.store.live() {
            Some(live) => live.now().await,
            None => Ok(self.clock.now()),
        }
    }

    /// Returns the monotonic time of this server.
    pub fn steady(&self) -> Steady {
        self.clock.steady()
    }

    /// Returns a record.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn get(
        &self,
        kind: AcmeRecordKind,
        name: &str,
    ) -> Result<Option<AcmeRecord>, StoreError> {
        self.store.acme_record(kind, name).await
    }

    /// Returns the record of a kind that is the last to expire, with its name.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn last(
        &self,
        kind: AcmeRecordKind,
    ) -> Result<Option<(String, AcmeRecord)>, StoreError> {
        self.store.last_acme_record(kind).await
    }

    /// Stores a record in the place of an earlier one.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn put(
        &self,
        key: (AcmeRecordKind, &str),
        record: AcmeRecord,
    ) -> Result<(), StoreError> {
        self.store.put_acme_record(key, record).await
    }

    /// Deletes a record, if it is there.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn remove(&self, kind: AcmeRecordKind, name: &str) -> Result<(), StoreError> {
        self.store.remove_acme_record(kind, name).await
    }

    /// Takes or extends the lease of the server that orders certificates. Returns false while
    /// another one has it.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn take_lease(&self, duration: Duration) -> Result<bool, StoreError> {
        let now = self.now().await?;
        self.store.take_acme_lease(&self.holder, now, now + duration).await
    }

    /// Gives the lease back, if this server has it.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn release_lease(&self) -> Result<(), StoreError> {
        self.store.release_acme_lease(&self.holder).await
    }
}
