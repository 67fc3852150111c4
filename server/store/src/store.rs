//! The handle of the open database.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use presence_core::UnixMillis;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue, ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction,
    EntityTrait, QueryFilter,
};
use tokio::time::sleep;

use crate::bounded::{BoundedPool, LOCK_RETRY, begin_immediate};
use crate::connection::{BUSY_TIMEOUT, DatabaseFile};
use crate::deadline;
use crate::error::StoreError;
use crate::lookup::SessionLookup;
use crate::migration;
use crate::tables::meta;

/// The id of the only row of the table `meta`.
const META_ROW_ID: i32 = 1;

/// The open database. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<StoreInner>);

struct StoreInner {
    write: BoundedPool,
    read: BoundedPool,
    epoch: u64,
    had_devices_connected: bool,
    lock: File,
    lookup: SessionLookup,
    /// Set if the server is in development mode.
    is_development: AtomicBool,
}

impl Store {
    /// Opens the database at a `sqlite:` URL, migrates its tables and begins an epoch. Calls have
    /// a deadline of 5 s.
    ///
    /// # Errors
    ///
    /// `Unsupported`, `BadUrl`, `NoDirectory`, `Missing`, `NotADatabase`, `Locked` (after 5 s),
    /// `InUse`, `ReadOnly`, `TooNew`, `Unavailable`.
    pub async fn open(url: &str, now: UnixMillis) -> Result<Self, StoreError> {
        Self::open_with_deadline(url, now, BUSY_TIMEOUT).await
    }

    /// Opens the database as [`Store::open`] does. `deadline` is the time for which a call may wait
    /// for the database.
    ///
    /// # Errors
    ///
    /// As [`Store::open`].
    pub async fn open_with_deadline(
        url: &str,
        now: UnixMillis,
        deadline: Duration,
    ) -> Result<Self, StoreError> {
        let file = DatabaseFile::parse(url, deadline)?;
        let opening = async {
            loop {
                match Self::open_file(&file, now, deadline).await {
                    Err(error) if error.is_busy() => sleep(LOCK_RETRY).await,
                    result => return result,
                }
            }
        };
        let late = || Err(StoreError::Locked(file.path().to_owned()));
        deadline::within(deadline.min(BUSY_TIMEOUT), opening).await.unwrap_or_else(late)
    }

    async fn open_file(
        file: &DatabaseFile,
        now: UnixMillis,
        deadline: Duration,
    ) -> Result<Self, StoreError> {
        let write = file.open_writer().await?;
        let lock = file.lock()?;
        migration::run(&write).await.map_err(|error| file.explain(error))?;
        let (epoch, had_devices_connected) =
            begin_epoch(&write, now).await.map_err(|error| file.explain(error))?;
        let read = BoundedPool::new(file.open_readers().await?, deadline);
        let write = BoundedPool::new(write, deadline);
        let lookup = SessionLookup::default();
        Ok(Self(Arc::new(StoreInner {
            write,
            read,
            epoch,
            had_devices_connected,
            lock,
            lookup,
            is_development: AtomicBool::new(false),
        })))
    }

    /// Returns the start of this run in seconds since 1970 UTC. It is greater than that of every
    /// earlier run on this database.
    pub fn epoch(&self) -> u64 {
        self.0.epoch
    }

    /// Returns true if devices were connected when the previous run ended, as found on opening.
    pub fn had_devices_connected(&self) -> bool {
        self.0.had_devices_connected
    }

    /// Stores for the next run whether devices are connected.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn set_devices_connected(&self, connected: bool) -> Result<(), StoreError> {
        meta::Entity::update_many()
            .col_expr(meta::Column::DevicesConnected, connected.into())
            .filter(meta::Column::Id.eq(META_ROW_ID))
            .exec(self.write())
            .await?;
        Ok(())
    }

    /// Marks what is stored from now on as that of a server in development mode, for
    /// [`Store::discard_development`].
    pub fn mark_as_development(&self) {
        self.0.is_development.store(true, Ordering::Relaxed);
    }

    /// Returns true if the server is in development mode.
    pub(crate) fn is_development(&self) -> bool {
        self.0.is_development.load(Ordering::Relaxed)
    }

    /// Checks that the database answers.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.read().execute_unprepared("SELECT 1 FROM meta").await?;
        Ok(())
    }

    /// Closes all connections. Call it after the last read and write.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.0.read.pool().close_by_ref().await?;
        self.0.write.pool().close_by_ref().await?;
        // If this fails, the system releases the lock when the process ends.
        self.0.lock.unlock().ok();
        Ok(())
    }

    /// Returns the time for which a call may wait for the database.
    pub(crate) fn deadline(&self) -> Duration {
        self.0.write.deadline()
    }

    /// Returns the only connection that writes. While a group is committed, it is not available.
    pub(crate) fn write(&self) -> &BoundedPool {
        &self.0.write
    }

    pub(crate) fn lookup(&self) -> &SessionLookup {
        &self.0.lookup
    }

    pub(crate) fn read(&self) -> &BoundedPool {
        &self.0.read
    }

    /// Waits for the database, or for something whose holder may wait for it, within the deadline
    /// of the current call.
    ///
    /// # Errors
    ///
    /// `TooLate`, and those of the work.
    pub async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let work = Box::pin(work);
        deadline::within(self.deadline(), work).await.unwrap_or(Err(StoreError::TooLate))
    }

    /// Begins a transaction that writes. Waits for the lock of the file.
    pub(crate) async fn begin_writing(&self) -> Result<DatabaseTransaction, StoreError> {
        self.write().begin_writing().await
    }
}

/// Begins an epoch. It is greater than the last one even if the clock went back, since versions
/// must always grow.
async fn begin_epoch(db: &DatabaseConnection, now: UnixMillis) -> Result<(u64, bool), StoreError> {
    let transaction = begin_immediate(db).await?;
    let last = meta::Entity::find_by_id(META_ROW_ID).one(&transaction).await?;
    let after_last = last.as_ref().map_or(1, |row| row.epoch.saturating_add(1));
    let epoch = i64::try_from(now.as_secs()).unwrap_or(i64::MAX).max(after_last);
    let had_devices = last.is_some_and(|row| row.devices_connected);
    meta::Entity::insert(meta::ActiveModel {
        id: ActiveValue::Set(META_ROW_ID),
        epoch: ActiveValue::Set(epoch),
        devices_connected: ActiveValue::Set(had_devices),
    })
    .on_conflict(OnConflict::column(meta::Column::Id).update_column(meta::Column::Epoch).to_owned())
    .exec_without_returning(&transaction)
    .await?;
    transaction.commit().await?;
    let epoch = u64::try_from(epoch).map_err(|_| StoreError::CorruptRow("meta"))?;
    Ok((epoch, had_devices))
}
