//! The handle of the open database.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use presence_core::UnixMillis;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue, ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction,
    EntityTrait, QueryFilter, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};

use crate::connection::{BUSY_TIMEOUT, DatabaseFile};
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
    write: DatabaseConnection,
    read: DatabaseConnection,
    epoch: u64,
    had_devices_connected: bool,
    lock: File,
    lookup: SessionLookup,
}

impl Store {
    /// Opens the database at a `sqlite:` URL, migrates its tables and begins an epoch.
    ///
    /// # Errors
    ///
    /// `Unsupported`, `BadUrl`, `NoDirectory`, `Missing`, `NotADatabase`, `Locked` (after 5 s),
    /// `InUse`, `ReadOnly`, `TooNew`, `Unavailable`.
    pub async fn open(url: &str, now: UnixMillis) -> Result<Self, StoreError> {
        Self::open_with_timeout(url, now, BUSY_TIMEOUT).await
    }

    pub(crate) async fn open_with_timeout(
        url: &str,
        now: UnixMillis,
        busy_timeout: Duration,
    ) -> Result<Self, StoreError> {
        let file = DatabaseFile::parse(url, busy_timeout)?;
        let write = file.open_writer().await?;
        let lock = file.lock()?;
        migration::run(&write).await.map_err(|error| file.explain(error))?;
        let (epoch, had_devices_connected) =
            begin_epoch(&write, now).await.map_err(|error| file.explain(error))?;
        let read = file.open_readers().await?;
        let lookup = SessionLookup::default();
        Ok(Self(Arc::new(StoreInner { write, read, epoch, had_devices_connected, lock, lookup })))
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
        self.0.read.close_by_ref().await?;
        self.0.write.close_by_ref().await?;
        // If this fails, the system releases the lock when the process ends.
        self.0.lock.unlock().ok();
        Ok(())
    }

    /// Returns the only connection that writes. While a group is committed, it is not available.
    pub(crate) fn write(&self) -> &DatabaseConnection {
        &self.0.write
    }

    pub(crate) fn lookup(&self) -> &SessionLookup {
        &self.0.lookup
    }

    pub(crate) fn read(&self) -> &DatabaseConnection {
        &self.0.read
    }

    /// Begins a transaction that writes: it takes the lock of the file at once.
    pub(crate) async fn begin_writing(&self) -> Result<DatabaseTransaction, StoreError> {
        begin_immediate(self.write()).await
    }
}

pub(crate) async fn begin_immediate(
    db: &DatabaseConnection,
) -> Result<DatabaseTransaction, StoreError> {
    let mode = Some(SqliteTransactionMode::Immediate);
    let options = TransactionOptions { sqlite_transaction_mode: mode, ..Default::default() };
    Ok(db.begin_with_options(options).await?)
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
