//! The copy of a SQLite database to PostgreSQL, for a server that moves.
//!
//! All rows are copied in one transaction, so a copy that breaks leaves no row, and can be
//! repeated.

use std::collections::HashMap;

use presence_core::UnixMillis;
use sea_orm::sea_query::{Alias, Expr, Query};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, QueryResult, Statement,
    TransactionTrait, Value,
};

use crate::error::StoreError;
use crate::migration;
use crate::postgres::connection::PostgresDatabase;
use crate::postgres::lock::{ServerLock, while_migrating};
use crate::sqlite::connection::DatabaseFile;
use crate::store::Store;

/// The tables, each after those that it refers to, with the column that numbers its rows. What is
/// used again after the end of a row must not get its number.
pub(crate) const TABLES: [(&str, Option<&str>); 11] = [
    ("users", Some("id")),
    ("apps", None),
    ("name_skeletons", None),
    ("api_keys", Some("id")),
    ("sessions", None),
    ("generations", None),
    ("ended_assertions", None),
    ("grants", Some("id")),
    ("notifications", Some("seq")),
    ("idempotency", None),
    ("acme", None),
];
/// The number of rows that are read and written together.
const PAGE: usize = 1_000;

/// A finished copy: the tables, each with the number of its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseCopy(pub Vec<(&'static str, u64)>);

/// Copies all rows of a file that no server uses to a database that no server uses and that has no
/// users.
pub(crate) async fn copy(
    file: &DatabaseFile,
    database: &PostgresDatabase,
    now: UnixMillis,
) -> Result<DatabaseCopy, StoreError> {
    file.must_exist()?;
    // The file is locked and migrated as a server does it.
    let source = Box::pin(Store::open(file.url(), now)).await?;
    let copied = copy_to(&source, database).await;
    source.close().await?;
    copied
}

async fn copy_to(source: &Store, database: &PostgresDatabase) -> Result<DatabaseCopy, StoreError> {
    let explain = |error| database.explain(error);
    let target = database.open_writers().await?;
    database.check(&target).await?;
    let lock = ServerLock::take_alone(database).await?;
    let copied = async {
        while_migrating(&target, migration::run(&target)).await?;
        let users = Statement::from_string(DbBackend::Postgres, "SELECT 1 FROM users LIMIT 1");
        if target.query_one_raw(users).await?.is_some() {
            return Err(StoreError::NotEmpty(database.name().to_owned()));
        }
        let transaction = target.begin().await?;
        let copied = copy_rows(source, &transaction).await?;
        transaction.commit().await?;
        Ok(copied)
    };
    let copied = copied.await.map_err(explain);
    lock.release().await;
    target.close_by_ref().await?;
    copied
}

async fn copy_rows(
    source: &Store,
    target: &DatabaseTransaction,
) -> Result<DatabaseCopy, StoreError> {
    for setting in ["idle_in_transaction_session_timeout", "lock_timeout", "statement_timeout"] {
        target.execute_unprepared(&format!("SET LOCAL {setting} = 0")).await?;
    }
    let read = source.read().pool();
    copy_meta(read, target).await?;
    let mut copied = Vec::with_capacity(TABLES.len());
    for (table, number) in TABLES {
        let count = copy_table(read, target, table).await?;
        if let Some(column) = number {
            continue_numbers(read, target, (table, column)).await?;
        }
        copied.push((table, count));
    }
    Ok(DatabaseCopy(copied))
}

/// Copies the facts about the database. Versions go on growing, and the first server waits for the
/// devices that were connected.
async fn copy_meta(
    source: &DatabaseConnection,
    target: &DatabaseTransaction,
) -> Result<(), StoreError> {
    let sql = "SELECT epoch, devices_connected FROM meta";
    let query = Statement::from_string(DbBackend::Sqlite, sql);
    let row = source.query_one_raw(query).await?.ok_or(StoreError::CorruptRow("meta"))?;
    let (epoch, connected): (i64, bool) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
    let sql = "INSERT INTO meta AS m (id, epoch, devices_connected) VALUES (1, $1, $2) \
               ON CONFLICT (id) DO UPDATE SET epoch = GREATEST(m.epoch, excluded.epoch), \
               devices_connected = excluded.devices_connected";
    let values = [epoch.into(), connected.into()];
    target.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
    // The next server begins a greater epoch.
    target.execute_unprepared("TRUNCATE live_epoch").await?;
    Ok(())
}

/// Copies the rows of a table, and returns their number.
async fn copy_table(
    source: &DatabaseConnection,
    target: &DatabaseTransaction,
    table: &'static str,
) -> Result<u64, StoreError> {
    let columns = columns(source, target, table).await?;
    let names: Vec<String> = columns.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let sql = format!(
        "SELECT rowid, {} FROM \"{table}\" WHERE rowid > ? ORDER BY rowid LIMIT {PAGE}",
        names.join(", ")
    );
    let (mut last, mut copied) = (i64::MIN, 0);
    loop {
        let page = Statement::from_sql_and_values(DbBackend::Sqlite, &sql, [last.into()]);
        let rows = source.query_all_raw(page).await?;
        let Some(newest) = rows.last() else { return Ok(copied) };
        last = newest.try_get_by_index(0)?;
        let mut insert = Query::insert();
        insert.into_table(Alias::new(table));
        insert.columns(columns.iter().map(|(name, _)| Alias::new(name)));
        for row in &rows {
            let values: Result<Vec<Expr>, StoreError> = columns
                .iter()
                .enumerate()
                .map(|(index, (_, kind))| Ok(Expr::value(value(row, index + 1, kind, table)?)))
                .collect();
            insert.values(values?).map_err(|_| StoreError::CorruptRow(table))?;
        }
        target.execute(&insert).await?;
        copied += rows.len() as u64;
    }
}

/// Returns the columns of a table, each with the type that it has in PostgreSQL.
async fn columns(
    source: &DatabaseConnection,
    target: &DatabaseTransaction,
    table: &'static str,
) -> Result<Vec<(String, String)>, StoreError> {
    let sql = "SELECT column_name::text, udt_name::text FROM information_schema.columns \
               WHERE table_schema = current_schema() AND table_name = $1";
    let query = Statement::from_sql_and_values(DbBackend::Postgres, sql, [table.into()]);
    let mut kinds = HashMap::new();
    for row in target.query_all_raw(query).await? {
        let (name, kind): (String, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        kinds.insert(name, kind);
    }
    let sql = "SELECT name FROM pragma_table_info(?) ORDER BY cid";
    let query = Statement::from_sql_and_values(DbBackend::Sqlite, sql, [table.into()]);
    let mut columns = Vec::new();
    for row in source.query_all_raw(query).await? {
        let name: String = row.try_get_by_index(0)?;
        let kind = kinds.remove(&name).ok_or(StoreError::CorruptRow(table))?;
        columns.push((name, kind));
    }
    Ok(columns)
}

/// Reads a value of a row, as a column of this type in PostgreSQL takes it.
fn value(
    row: &QueryResult,
    index: usize,
    kind: &str,
    table: &'static str,
) -> Result<Value, StoreError> {
    Ok(match kind {
        "int8" => row.try_get_by_index::<Option<i64>>(index)?.into(),
        "int4" => row.try_get_by_index::<Option<i32>>(index)?.into(),
        "bool" => row.try_get_by_index::<Option<bool>>(index)?.into(),
        "text" | "varchar" => row.try_get_by_index::<Option<String>>(index)?.into(),
        "bytea" => row.try_get_by_index::<Option<Vec<u8>>>(index)?.into(),
        _ => return Err(StoreError::CorruptRow(table)),
    })
}

/// Lets the numbers of new rows go on after the last one that was ever given.
async fn continue_numbers(
    source: &DatabaseConnection,
    target: &DatabaseTransaction,
    (table, column): (&'static str, &'static str),
) -> Result<(), StoreError> {
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = ?";
    let query = Statement::from_sql_and_values(DbBackend::Sqlite, sql, [table.into()]);
    let Some(row) = source.query_one_raw(query).await? else { return Ok(()) };
    let last: i64 = row.try_get_by_index(0)?;
    if last > 0 {
        let sql = "SELECT setval(pg_get_serial_sequence($1, $2), $3)";
        let values = [table.into(), column.into(), last.into()];
        let query = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        target.query_one_raw(query).await?;
    }
    Ok(())
}
