//! The handle of the open database.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use presence_core::UnixMillis;
use sea_orm::sea_query::{LockType, OnConflict};
use sea_orm::{
    ActiveValue, ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction,
    EntityTrait, QueryFilter, QuerySelect,
};
use tokio::time::sleep;

use crate::bounded::{BoundedPool, LOCK_RETRY, RetryRule, begin_immediate};
use crate::credential_cache::CredentialCache;
use crate::database_url::DatabaseUrl;
use crate::deadline;
use crate::error::StoreError;
use crate::live::Live;
use crate::lookup::SessionLookup;
use crate::migration;
use crate::postgres::connection::PostgresDatabase;
use crate::postgres::lock::{ServerLock, while_migrating};
use crate::sqlite::connection::{BUSY_TIMEOUT, DatabaseFile};
use crate::tables::meta;

/// The id of the only row of the table `meta`.
const META_ROW_ID: i32 = 1;

/// The settings of an open database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreSettings {
    /// The time for which a call may wait for the database.
    pub deadline: Duration,
    /// The maximum number of API keys that are cached, of sessions, and of grants.
    pub cached_credentials: u64,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self { deadline: BUSY_TIMEOUT, cached_credentials: 10_000 }
    }
}

/// The open database. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<StoreInner>);

struct StoreInner {
    write: BoundedPool,
    read: BoundedPool,
    epoch: u64,
    had_devices_connected: bool,
    lock: UseLock,
    /// The presence that several servers share.
    live: Option<Live>,
    lookup: SessionLookup,
    credentials: CredentialCache,
    /// Set if the server is in development mode.
    is_development: AtomicBool,
}

/// The lock that tells others that a server uses the database.
enum UseLock {
    File(File),
    Server(ServerLock),
}

impl Store {
    /// Opens the database at a `sqlite:` or `postgres:` URL, migrates its tables and begins an
    /// epoch. The settings are the usual ones: see [`StoreSettings::default`].
    ///
    /// # Errors
    ///
    /// `BadUrl`, `InUse`, `TooNew`, `Unavailable`; of SQLite `NoDirectory`, `Missing`,
    /// `NotADatabase`, `Locked` (after 5 s), `ReadOnly`; of PostgreSQL `Unreachable`, `NoTls`,
    /// `NotAuthenticated`, `NoDatabase`, `NoRights`, `TooManyConnections`, `PooledTransactions`,
    /// `Standby`, `OldServer`, `NotUtf8`.
    pub async fn open(url: &str, now: UnixMillis) -> Result<Self, StoreError> {
        Self::open_with(url, now, StoreSettings::default()).await
    }

    /// Opens the database as [`Store::open`] does.
    ///
    /// # Errors
    ///
    /// As [`Store::open`].
    pub async fn open_with(
        url: &str,
        now: UnixMillis,
        settings: StoreSettings,
    ) -> Result<Self, StoreError> {
        match DatabaseUrl::parse(url, settings.deadline)? {
            DatabaseUrl::Sqlite(file) => Self::open_file_in_time(&file, now, settings).await,
            DatabaseUrl::Postgres(database) => Self::open_postgres(&database, now, settings).await,
        }
    }

    async fn open_file_in_time(
        file: &DatabaseFile,
        now: UnixMillis,
        settings: StoreSettings,
    ) -> Result<Self, StoreError> {
        let opening = async {
            loop {
                match Self::open_file(file, now, settings).await {
                    Err(error) if error.is_busy() => sleep(LOCK_RETRY).await,
                    result => return result,
                }
            }
        };
        let late = || Err(StoreError::Locked(file.path().to_owned()));
        deadline::within(settings.deadline.min(BUSY_TIMEOUT), opening).await.unwrap_or_else(late)
    }

    async fn open_file(
        file: &DatabaseFile,
        now: UnixMillis,
        settings: StoreSettings,
    ) -> Result<Self, StoreError> {
        let write = file.open_writer().await?;
        let lock = file.lock()?;
        migration::run(&write).await.map_err(|error| file.explain(error))?;
        let epoch = begin_epoch(&write, now).await.map_err(|error| file.explain(error))?;
        let read = file.open_readers().await?;
        // A statement that finds the file locked has had no effect, and no answer is lost.
        let [write, read] = [write, read]
            .map(|pool| BoundedPool::new(pool, settings.deadline, RetryRule::WithoutEffect));
        Ok(Self::new((write, read), epoch, (UseLock::File(lock), None), settings))
    }

    async fn open_postgres(
        database: &PostgresDatabase,
        now: UnixMillis,
        settings: StoreSettings,
    ) -> Result<Self, StoreError> {
        let deadline = settings.deadline;
        let explain = |error| database.explain(error);
        let write = database.open_writers().await?;
        database.check(&write).await?;
        let lock = ServerLock::share(database).await?;
        while_migrating(&write, migration::run(&write)).await.map_err(explain)?;
        let epoch = begin_epoch(&write, now).await.map_err(explain)?;
        let read = database.open_readers().await?;
        let write = BoundedPool::new(write, deadline, RetryRule::WithoutEffect);
        let read = BoundedPool::new(read, deadline, RetryRule::AlsoLost);
        let live = Live::new(database.open_lane().await?, read.clone(), write.clone());
        Ok(Self::new((write, read), epoch, (UseLock::Server(lock), Some(live)), settings))
    }

    fn new(
        (write, read): (BoundedPool, BoundedPool),
        (epoch, had_devices_connected): (u64, bool),
        (lock, live): (UseLock, Option<Live>),
        settings: StoreSettings,
    ) -> Self {
        let credentials = CredentialCache::new(settings.cached_credentials, live.is_some());
        Self(Arc::new(StoreInner {
            write,
            read,
            epoch,
            had_devices_connected,
            lock,
            live,
            lookup: SessionLookup::default(),
            credentials,
            is_development: AtomicBool::new(false),
        }))
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
        if let Some(live) = &self.0.live {
            live.close().await?;
        }
        self.0.read.pool().close_by_ref().await?;
        self.0.write.pool().close_by_ref().await?;
        match &self.0.lock {
            // If this fails, the system releases the lock when the process ends.
            UseLock::File(lock) => drop(lock.unlock()),
            UseLock::Server(lock) => lock.release().await,
        }
        Ok(())
    }

    /// Returns the time for which a call may wait for the database.
    pub(crate) fn deadline(&self) -> Duration {
        self.0.write.deadline()
    }

    /// Returns the name of the database system, as OpenTelemetry writes it.
    pub(crate) fn system_name(&self) -> &'static str {
        if self.0.live.is_some() { "postgresql" } else { "sqlite" }
    }

    /// Returns the connections that write: on SQLite a single one, which is not available while a
    /// group is committed.
    pub(crate) fn write(&self) -> &BoundedPool {
        &self.0.write
    }

    /// Returns the presence that several servers share, `None` on SQLite.
    pub fn live(&self) -> Option<&Live> {
        self.0.live.as_ref()
    }

    /// Returns the cache of credentials.
    pub(crate) fn credentials(&self) -> &CredentialCache {
        &self.0.credentials
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

    /// Runs a transaction within the deadline of the current call. One that met another transaction
    /// is run again.
    ///
    /// # Errors
    ///
    /// `TooLate`, and those of the work.
    pub(crate) async fn in_transaction<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        work: impl Fn() -> F,
    ) -> Result<T, StoreError> {
        self.in_time(async {
            loop {
                match work().await {
                    Err(error) if error.is_conflict() => sleep(LOCK_RETRY).await,
                    result => return result,
                }
            }
        })
        .await
    }

    /// Begins a transaction that writes. On SQLite it waits for the lock of the file. On PostgreSQL
    /// the transaction has to lock what it reads before it decides: see [`crate::row_lock`].
    pub(crate) async fn begin_writing(&self) -> Result<DatabaseTransaction, StoreError> {
        self.write().begin_writing().await
    }
}

/// Begins an epoch. It is greater than the last one even if the clock went back, since versions
/// must always grow.
async fn begin_epoch(db: &DatabaseConnection, now: UnixMillis) -> Result<(u64, bool), StoreError> {
    let transaction = begin_immediate(db).await?;
    let last =
        meta::Entity::find_by_id(META_ROW_ID).lock(LockType::Update).one(&transaction).await?;
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
