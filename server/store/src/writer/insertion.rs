//! The statement that inserts notifications.

use presence_core::model::Notification;
use sea_orm::sea_query::ArrayType;
use sea_orm::{DbBackend, Statement, Value};

use crate::rows::{NotificationState, time_to_column};

/// A notification to be inserted.
pub(super) struct NewRow {
    pub(super) notification: Notification,
    /// The sender that the AppService gave, or an empty text.
    pub(super) source: String,
    /// The number of the grant.
    pub(super) grant: i64,
    pub(super) live_only: bool,
    pub(super) state: NotificationState,
}

/// The inserted columns, in the order of [`NewRow::values`].
const COLUMNS: &str =
    "seq, id, grant_id, message, action, sent_at, expires_at, live_only, source, state";
const VALUES: &str = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const VALUES_PER_ROW: usize = 10;
/// The maximum number of rows of a statement, a power of two.
pub(super) const MAX_ROWS: usize = 512;

/// The types of the values in PostgreSQL.
const TYPES: [(ArrayType, &str); VALUES_PER_ROW] = [
    (ArrayType::BigInt, "bigint"),
    (ArrayType::String, "text"),
    (ArrayType::BigInt, "bigint"),
    (ArrayType::String, "text"),
    (ArrayType::String, "text"),
    (ArrayType::BigInt, "bigint"),
    (ArrayType::BigInt, "bigint"),
    (ArrayType::Bool, "boolean"),
    (ArrayType::String, "text"),
    (ArrayType::Int, "integer"),
];

impl NewRow {
    fn values(&self) -> [Value; VALUES_PER_ROW] {
        let Self { notification, source, grant, live_only, state } = self;
        [
            notification.seq.into(),
            notification.id.to_string().into(),
            (*grant).into(),
            (*notification.message).into(),
            (*notification.action).into(),
            time_to_column(notification.sent_at).into(),
            time_to_column(notification.expires_at).into(),
            (*live_only).into(),
            source.as_str().into(),
            state.code().into(),
        ]
    }
}

/// Returns the statement that inserts the rows. It is not built, since the builder copies each
/// value twice.
pub(super) fn insertion(rows: &[&mut NewRow], backend: DbBackend) -> Statement {
    if backend == DbBackend::Postgres { insert_arrays(rows) } else { insert_values(rows) }
}

/// Returns the statement for PostgreSQL: one array for each column, so that it is always the same
/// prepared statement.
fn insert_arrays(rows: &[&mut NewRow]) -> Statement {
    let mut columns: [Vec<Value>; VALUES_PER_ROW] = Default::default();
    for row in rows {
        for (column, value) in columns.iter_mut().zip(row.values()) {
            column.push(value);
        }
    }
    let arrays = TYPES.into_iter().zip(columns);
    let arrays = arrays.map(|((kind, _), values)| Value::Array(kind, Some(Box::new(values))));
    let places: Vec<String> =
        (1..).zip(TYPES).map(|(number, (_, name))| format!("${number}::{name}[]")).collect();
    let sql = format!(
        "INSERT INTO notifications ({COLUMNS}) SELECT * FROM unnest({})",
        places.join(", ")
    );
    Statement::from_sql_and_values(DbBackend::Postgres, sql, arrays)
}

/// Returns the statement for SQLite. Empty rows, which it leaves out, fill them up to a power of
/// two: then the statement is mostly prepared already, and preparing takes half as long as running
/// it. It has `OR FAIL`, since a failed group is rolled back as a whole, so SQLite need not be able
/// to roll back this statement alone.
fn insert_values(rows: &[&mut NewRow]) -> Statement {
    let mut values: Vec<Value> = rows.iter().flat_map(|row| row.values()).collect();
    let count = rows.len().next_power_of_two();
    values.resize(count * VALUES_PER_ROW, Value::BigInt(None));
    let places = std::iter::repeat_n(VALUES, count).collect::<Vec<_>>().join(", ");
    // `column1` is the name that SQLite gives to the first column of `VALUES`.
    let sql = format!(
        "INSERT OR FAIL INTO notifications ({COLUMNS}) SELECT * FROM (VALUES {places}) WHERE column1 IS NOT NULL"
    );
    Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)
}
