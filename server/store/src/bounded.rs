//! A pool of connections whose statements are answered within the deadline of their call.

use std::time::Duration;

use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    ExecResult, QueryResult, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait,
};
use sea_orm_migration::async_trait;

use crate::deadline;
use crate::error::{ErrorKind, StoreError};

/// The time between two attempts while another process holds the lock of the file. The connection
/// is free meanwhile.
pub(crate) const LOCK_RETRY: Duration = Duration::from_millis(20);

/// The statements of a pool that are tried again until their call is too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryRule {
    /// Those that had no effect: they found the file locked, or met another transaction.
    WithoutEffect,
    /// All whose answer was lost, too: they only read.
    AlsoLost,
}

/// A pool of connections.
#[derive(Clone)]
pub(crate) struct BoundedPool {
    pool: DatabaseConnection,
    deadline: Duration,
    retry: RetryRule,
}

impl BoundedPool {
    pub(crate) fn new(pool: DatabaseConnection, deadline: Duration, retry: RetryRule) -> Self {
        Self { pool, deadline, retry }
    }

    /// Returns the connections without a deadline, for the writer's task.
    pub(crate) fn pool(&self) -> &DatabaseConnection {
        &self.pool
    }

    /// Returns the deadline.
    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Begins a transaction that writes. On SQLite it takes the lock of the file at once. The
    /// caller waits for the whole transaction within its deadline.
    pub(crate) async fn begin_writing(&self) -> Result<DatabaseTransaction, StoreError> {
        loop {
            match begin_immediate(&self.pool).await {
                Err(error) if error.is_busy() => tokio::time::sleep(LOCK_RETRY).await,
                result => return result,
            }
        }
    }

    async fn run<T, F: Future<Output = Result<T, DbErr>>>(
        &self,
        attempt: impl Fn() -> F,
    ) -> Result<T, DbErr> {
        let attempts = async {
            loop {
                match attempt().await {
                    Err(error) if self.retries(&error) => tokio::time::sleep(LOCK_RETRY).await,
                    result => return result,
                }
            }
        };
        let late = Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout));
        deadline::within(self.deadline, attempts).await.unwrap_or(late)
    }

    fn retries(&self, error: &DbErr) -> bool {
        let kind = ErrorKind::of(error);
        matches!(kind, ErrorKind::Busy | ErrorKind::Conflict)
            || (kind == ErrorKind::Lost && self.retry == RetryRule::AlsoLost)
    }
}

/// Begins a transaction. On SQLite it takes the lock of the file at once, or fails if it is taken.
pub(crate) async fn begin_immediate(
    db: &DatabaseConnection,
) -> Result<DatabaseTransaction, StoreError> {
    let is_sqlite = db.get_database_backend() == DbBackend::Sqlite;
    let mode = is_sqlite.then_some(SqliteTransactionMode::Immediate);
    let options = TransactionOptions { sqlite_transaction_mode: mode, ..Default::default() };
    Ok(db.begin_with_options(options).await?)
}

#[async_trait::async_trait]
impl ConnectionTrait for BoundedPool {
    fn get_database_backend(&self) -> DbBackend {
        self.pool.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.run(|| self.pool.execute_raw(statement.clone())).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.run(|| self.pool.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.run(|| self.pool.query_one_raw(statement.clone())).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.run(|| self.pool.query_all_raw(statement.clone())).await
    }
}
