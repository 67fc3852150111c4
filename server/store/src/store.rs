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

use crate::connection::{Address, PATIENCE};
use crate::error::StoreError;
use crate::lookup::Lookup;
use crate::migration;
use crate::tables::meta;

const ONLY_ROW: i32 = 1;

/// The open database. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    write: DatabaseConnection,
    read: DatabaseConnection,
    epoch: u64,
    had_devices_connected: bool,
    lock: File,
    lookup: Lookup,
}

impl Store {
    /// Opens the database at a `sqlite:` URL, brings its tables up to date and begins an epoch.
    ///
    /// # Errors
    ///
    /// `Unsupported`, `BadUrl`, `NoDirectory`, `Missing`, `NotADatabase`, `Locked` (after 5 s), `InUse`, `ReadOnly`,
    /// `TooNew`, `Unavailable`.
    pub async fn open(url: &str, now: UnixMillis) -> Result<Self, StoreError> {
        Self::open_patiently(url, now, PATIENCE).await
    }

    pub(crate) async fn open_patiently(
        url: &str,
        now: UnixMillis,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        let address = Address::parse(url, patience)?;
        let write = address.writer().await?;
        let lock = address.lock()?;
        migration::run(&write).await.map_err(|error| address.explain(error))?;
        let (epoch, had_devices_connected) =
            begin_epoch(&write, now).await.map_err(|error| address.explain(error))?;
        let read = address.readers().await?;
        let lookup = Lookup::default();
        Ok(Self(Arc::new(Inner { write, read, epoch, had_devices_connected, lock, lookup })))
    }

    /// When this run began, in seconds since 1970, and more than that of any earlier run on this database.
    pub fn epoch(&self) -> u64 {
        self.0.epoch
    }

    /// Whether an earlier run left devices connected, as found on opening.
    pub fn had_devices_connected(&self) -> bool {
        self.0.had_devices_connected
    }

    /// Notes for the next run whether devices are connected.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn set_devices_connected(&self, connected: bool) -> Result<(), StoreError> {
        meta::Entity::update_many()
            .col_expr(meta::Column::DevicesConnected, connected.into())
            .filter(meta::Column::Id.eq(ONLY_ROW))
            .exec(self.write())
            .await?;
        Ok(())
    }

    /// Whether the database answers.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.read().execute_unprepared("SELECT 1 FROM meta").await?;
        Ok(())
    }

    /// Ends all connections, once nothing is to be read or written any more.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.0.read.close_by_ref().await?;
        self.0.write.close_by_ref().await?;
        // Where it cannot be given back now, the system does so when the process ends.
        self.0.lock.unlock().ok();
        Ok(())
    }

    /// The one connection that writes. Who waits for it waits for the group that is being committed.
    pub(crate) fn write(&self) -> &DatabaseConnection {
        &self.0.write
    }

    pub(crate) fn lookup(&self) -> &Lookup {
        &self.0.lookup
    }

    pub(crate) fn read(&self) -> &DatabaseConnection {
        &self.0.read
    }

    /// Begins a transaction that will write: it takes the lock of the file at once.
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

/// A clock that went back must not lead to an epoch that was there before: versions grow for ever.
async fn begin_epoch(db: &DatabaseConnection, now: UnixMillis) -> Result<(u64, bool), StoreError> {
    let transaction = begin_immediate(db).await?;
    let last = meta::Entity::find_by_id(ONLY_ROW).one(&transaction).await?;
    let after_last = last.as_ref().map_or(1, |row| row.epoch.saturating_add(1));
    let epoch = i64::try_from(now.as_secs()).unwrap_or(i64::MAX).max(after_last);
    let had_devices = last.is_some_and(|row| row.devices_connected);
    meta::Entity::insert(meta::ActiveModel {
        id: ActiveValue::Set(ONLY_ROW),
        epoch: ActiveValue::Set(epoch),
        devices_connected: ActiveValue::Set(had_devices),
    })
    .on_conflict(OnConflict::column(meta::Column::Id).update_column(meta::Column::Epoch).to_owned())
    .exec_without_returning(&transaction)
    .await?;
    transaction.commit().await?;
    let epoch = u64::try_from(epoch).map_err(|_| StoreError::Nonsense("meta"))?;
    Ok((epoch, had_devices))
}
