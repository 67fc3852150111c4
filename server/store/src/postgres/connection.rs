//! Opens the connections to a PostgreSQL database.

use std::str::FromStr;
use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgListener};
use sea_orm::sqlx::{AssertSqlSafe, Executor};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement,
};

use crate::deadline;
use crate::error::{ErrorKind, StoreError};

/// The oldest version that has all that the tables need.
const OLDEST_VERSION: i32 = 14;

/// The number of connections that read.
const READ_CONNECTIONS: u32 = 4;
/// The number of connections that write: one for the writer's task, others for single changes.
const WRITE_CONNECTIONS: u32 = 4;

/// The number of connections for changes of shared presence: one for batches, one for what is
/// announced to all servers, and one for what they announce.
const LANE_CONNECTIONS: u32 = 3;
/// The settings of these connections.
pub(crate) const LANE_SETTINGS: [(&str, &str); 4] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
];

/// The number of prepared statements that a connection keeps.
const CACHED_STATEMENTS: usize = 100;

/// The time after which the server ends a transaction whose client does not go on. Its locks would
/// hold up all others.
const IDLE_IN_TRANSACTION: &str = "5s";
/// The time after which the server gives up a connection whose other end does not answer.
const TCP_USER_TIMEOUT: &str = "15s";

/// A PostgreSQL database, with the options to connect to it.
pub(crate) struct PostgresDatabase {
    url: String,
    /// The server and the database, for texts: without user and password.
    name: String,
    deadline: Duration,
}

impl PostgresDatabase {
    /// Parses a `postgres:` URL.
    ///
    /// # Errors
    ///
    /// `BadUrl`.
    pub(crate) fn parse(url: &str, deadline: Duration) -> Result<Self, StoreError> {
        // The driver knows one name of the scheme only.
        let url = url.replacen("postgresql:", "postgres:", 1);
        let options = PgConnectOptions::from_str(&url).map_err(|_| StoreError::BadUrl)?;
        // Without a host the driver takes what libpq's environment variables name.
        let authority = url.trim_start_matches("postgres://").split(['/', '?']).next();
        if authority.is_none_or(str::is_empty) && !url.contains("host=") {
            return Err(StoreError::BadUrl);
        }
        let database = options.get_database().unwrap_or(options.get_username());
        let name = match options.get_socket() {
            Some(socket) => format!("{database} at {}", socket.display()),
            None => format!("{database} at {}:{}", options.get_host(), options.get_port()),
        };
        Ok(Self { url, name, deadline })
    }

    /// Returns the server and the database, without user and password.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Opens the connections that write.
    pub(crate) async fn open_writers(&self) -> Result<DatabaseConnection, StoreError> {
        self.open(WRITE_CONNECTIONS, &[]).await
    }

    /// Opens the connections that read.
    pub(crate) async fn open_readers(&self) -> Result<DatabaseConnection, StoreError> {
        self.open(READ_CONNECTIONS, &[]).await
    }

    /// Opens the connections for changes of shared presence. Their statements are few and always
    /// the same: they are planned once, and must not be planned as scans of whole tables, which
    /// are small when the first plan is made.
    pub(crate) async fn open_lane(&self) -> Result<DatabaseConnection, StoreError> {
        self.open(LANE_CONNECTIONS, &LANE_SETTINGS).await
    }

    /// Opens two connections, for checks.
    pub(crate) async fn open_two(&self) -> Result<DatabaseConnection, StoreError> {
        self.open(2, &[]).await
    }

    /// Opens one connection.
    pub(crate) async fn open_one(&self) -> Result<DatabaseConnection, StoreError> {
        self.open(1, &[]).await
    }

    async fn open(
        &self,
        connections: u32,
        settings: &'static [(&'static str, &'static str)],
    ) -> Result<DatabaseConnection, StoreError> {
        let mut options = ConnectOptions::new(&self.url);
        let lock_timeout = format!("{}ms", self.deadline.as_millis().max(1));
        options
            .max_connections(connections)
            .min_connections(1)
            .acquire_timeout(Duration::from_secs(10))
            .idle_timeout(None)
            .max_lifetime(None)
            // A connection that the server has closed meanwhile is noticed before it is used.
            .test_before_acquire(true)
            .sqlx_logging(false)
            .set_application_name("presence")
            .map_sqlx_postgres_opts(move |postgres| {
                let postgres = postgres.statement_cache_capacity(CACHED_STATEMENTS);
                postgres.options(settings.iter().copied()).options([
                    ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION),
                    ("lock_timeout", &lock_timeout),
                    ("statement_timeout", &lock_timeout),
                    ("tcp_user_timeout", TCP_USER_TIMEOUT),
                    // To compile a plan costs more than each of these short statements.
                    ("jit", "off"),
                    // Each of them finds its rows by an index. A plan that was made while a table
                    // was small, or by old statistics, would read the whole table instead.
                    ("enable_seqscan", "off"),
                    // Few rows are read together, in the order of an index.
                    ("enable_bitmapscan", "off"),
                ])
            });
        let opening = Database::connect(options);
        match deadline::within(self.deadline, opening).await {
            Some(opened) => opened.map_err(|error| self.explain(error.into())),
            None => Err(StoreError::Unreachable(self.name.clone())),
        }
    }

    /// Checks that a server can use the database: that its notifications arrive, its version, that
    /// it is the primary, and its encoding. `db` must have at least two connections.
    ///
    /// # Errors
    ///
    /// `PooledTransactions`, `OldServer`, `Standby`, `NotUtf8`, `Unavailable`.
    pub(crate) async fn check(&self, db: &DatabaseConnection) -> Result<(), StoreError> {
        self.check_notifications(db).await?;
        let query = "SELECT current_setting('server_version_num')::int / 10000, \
                     current_setting('server_version'), \
                     pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool, \
                     current_setting('server_encoding')";
        let statement = Statement::from_string(DbBackend::Postgres, query);
        let row = db.query_one_raw(statement).await.map_err(|error| self.explain(error.into()))?;
        let row = row.ok_or(StoreError::CorruptRow("pg_settings"))?;
        let (major, version): (i32, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        if major < OLDEST_VERSION {
            return Err(StoreError::OldServer(version));
        }
        if row.try_get_by_index(2)? {
            return Err(StoreError::Standby(self.name.clone()));
        }
        let encoding: String = row.try_get_by_index(3)?;
        if encoding != "UTF8" {
            return Err(StoreError::NotUtf8(self.name.clone(), encoding));
        }
        Ok(())
    }

    /// Checks that a notification from one of these connections reaches another within the
    /// deadline. It does not if a proxy lends a connection for one transaction only. Prepared
    /// statements fail then too, so this check uses none, and comes before all others.
    async fn check_notifications(&self, db: &DatabaseConnection) -> Result<(), StoreError> {
        // Other servers may check at the same time.
        let channel = format!("presence_check_{:032x}", rand::random::<u128>());
        let pool = db.get_postgres_connection_pool();
        let exchange = async {
            let mut listener = PgListener::connect_with(pool).await?;
            listener.listen(&channel).await?;
            // The notification may arrive at the sender, which must expect it therefore.
            let mut sender = PgListener::connect_with(pool).await?;
            sender.execute(AssertSqlSafe(format!("NOTIFY {channel}"))).await?;
            Ok::<PgListener, StoreError>(listener)
        };
        let sent = deadline::within(self.deadline, exchange).await;
        let sent = sent.ok_or_else(|| StoreError::Unreachable(self.name.clone()))?;
        let mut listener = sent.map_err(|error| self.explain(error))?;
        match deadline::within(self.deadline, listener.try_recv()).await {
            Some(Ok(Some(_))) => Ok(()),
            Some(Ok(None)) => Err(StoreError::Unreachable(self.name.clone())),
            Some(Err(error)) => Err(self.explain(error.into())),
            None => Err(StoreError::PooledTransactions(self.name.clone())),
        }
    }

    /// Translates an error while opening into one that an operator understands.
    pub(crate) fn explain(&self, error: StoreError) -> StoreError {
        let name = self.name.clone();
        let kind = error.kind();
        let kind = kind.or_else(|| matches!(error, StoreError::TooLate).then_some(ErrorKind::Lost));
        let Some(kind) = kind else { return error };
        match kind {
            ErrorKind::Lost => StoreError::Unreachable(name),
            ErrorKind::Tls => StoreError::NoTls(name),
            ErrorKind::NotAuthenticated => StoreError::NotAuthenticated(name),
            ErrorKind::NoDatabase => StoreError::NoDatabase(name),
            ErrorKind::NoRights => StoreError::NoRights(name),
            ErrorKind::TooManyConnections => StoreError::TooManyConnections(name),
            ErrorKind::ReadOnly => StoreError::Standby(name),
            ErrorKind::Pooled => StoreError::PooledTransactions(name),
            ErrorKind::Busy
            | ErrorKind::Conflict
            | ErrorKind::TimedOut
            | ErrorKind::Damaged
            | ErrorKind::CannotOpen
            | ErrorKind::NotADatabase
            | ErrorKind::Full
            | ErrorKind::Other => error,
        }
    }
}
