//! Dumps of a database as SQL, its schema and its rows.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};

/// Opens a database without migrating it, or creates an empty one.
pub(super) async fn open(url: &str) -> DatabaseConnection {
    Database::connect(url).await.unwrap()
}

/// Returns a database as SQL: tables, rows, sequences and indexes.
pub(super) async fn write(db: &DatabaseConnection) -> String {
    let made = "sql IS NOT NULL AND name NOT LIKE 'sqlite_%'";
    let mut lines =
        all(db, &format!("SELECT sql || ';' FROM sqlite_master WHERE {made} AND type = 'table'"))
            .await;
    // The time of a migration does not matter, and would differ in each dump.
    db.execute_unprepared("UPDATE seaql_migrations SET applied_at = 0").await.unwrap();
    for table in tables(db).await.into_iter().chain(["sqlite_sequence".to_owned()]) {
        if table == "sqlite_sequence" {
            lines.push("DELETE FROM sqlite_sequence;".to_owned());
        }
        let columns = columns(db, &table).await;
        let values: Vec<String> = columns.iter().map(|name| format!("quote(\"{name}\")")).collect();
        let values = values.join(" || ', ' || ");
        let select = format!(
            "SELECT 'INSERT INTO {table} VALUES (' || {values} || ');' FROM {table} ORDER BY rowid"
        );
        lines.extend(all(db, &select).await);
    }
    lines.extend(
        all(db, &format!("SELECT sql || ';' FROM sqlite_master WHERE {made} AND type <> 'table'"))
            .await,
    );
    lines.push(String::new());
    lines.join("\n")
}

/// Creates a database from a dump.
pub(super) async fn read(url: &str, sql: &str) {
    let db = open(url).await;
    db.execute_unprepared("PRAGMA foreign_keys = OFF").await.unwrap();
    db.execute_unprepared(sql).await.unwrap();
    db.close().await.unwrap();
}

/// Runs a statement.
pub(super) async fn run(db: &DatabaseConnection, sql: &str) {
    db.execute_unprepared(sql).await.unwrap();
}

/// Returns true if every foreign key refers to an existing row.
pub(super) async fn foreign_keys_hold(db: &DatabaseConnection) -> bool {
    all(db, "SELECT \"table\" FROM pragma_foreign_key_check").await.is_empty()
}

/// The columns of all tables, whether their numbers are reused, and the columns of all indexes,
/// independent of the migrations that created them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Schema(BTreeMap<String, BTreeSet<String>>);

impl Schema {
    pub(super) async fn of(db: &DatabaseConnection) -> Self {
        let mut found = BTreeMap::new();
        for table in tables(db).await {
            let column = "name || ' ' || type || ' ' || \"notnull\" || ' ' || coalesce(dflt_value, '') || ' ' || pk";
            let mut parts =
                all(db, &format!("SELECT {column} FROM pragma_table_info('{table}')")).await;
            let index = "l.name || ' ' || l.\"unique\" || ' ' || (SELECT group_concat(name) FROM pragma_index_info(l.name))";
            parts.extend(
                all(db, &format!("SELECT {index} FROM pragma_index_list('{table}') l")).await,
            );
            let key = "\"from\" || ' ' || \"table\" || ' ' || \"to\" || ' ' || on_delete";
            parts.extend(
                all(db, &format!("SELECT {key} FROM pragma_foreign_key_list('{table}')")).await,
            );
            let numbered = "sql LIKE '%AUTOINCREMENT%' AND name";
            parts.extend(
                all(
                    db,
                    &format!(
                        "SELECT 'AUTOINCREMENT' FROM sqlite_master WHERE {numbered} = '{table}'"
                    ),
                )
                .await,
            );
            found.insert(table, parts.into_iter().collect());
        }
        Self(found)
    }
}

/// All rows, each as the texts of its columns. A row that refers to a grant by its number has the
/// grant's columns too: before m0004 they were its own.
#[derive(Debug)]
pub(super) struct Rows(BTreeMap<String, Vec<BTreeMap<String, String>>>);

impl Rows {
    pub(super) async fn of(db: &DatabaseConnection) -> Self {
        let mut found = BTreeMap::new();
        for table in tables(db).await {
            let mut columns = columns(db, &table).await;
            let mut whole = format!("(SELECT *, rowid AS place FROM {table})");
            if columns.iter().any(|column| column == "grant_id") {
                columns.extend(["puid", "app_id", "user_id"].map(str::to_owned));
                let grant = "SELECT id AS number, puid, app_id, user_id FROM grants";
                whole = format!("{whole} INNER JOIN ({grant}) ON number = grant_id");
            }
            let mut rows = Vec::new();
            for column in &columns {
                let select = format!("SELECT quote(\"{column}\") FROM {whole} ORDER BY place");
                let values = all(db, &select).await;
                rows.resize_with(values.len(), BTreeMap::new);
                for (row, value) in rows.iter_mut().zip(values) {
                    row.insert(column.clone(), value);
                }
            }
            found.insert(table, rows);
        }
        Self(found)
    }

    /// Returns the tables with the number of their rows.
    pub(super) fn tables(&self) -> impl Iterator<Item = (&str, usize)> {
        self.0.iter().map(|(table, rows)| (table.as_str(), rows.len()))
    }

    /// Asserts that `other` contains all these rows. It may have more tables, columns and rows.
    pub(super) fn assert_kept_in(&self, other: &Self, except: &[&str]) {
        for (table, rows) in self.0.iter().filter(|(table, _)| !except.contains(&table.as_str())) {
            let others = other.0.get(table).unwrap_or_else(|| panic!("no table {table}"));
            for row in rows {
                let is_there = others.iter().any(|other| {
                    row.iter().all(|(column, value)| other.get(column) == Some(value))
                });
                assert!(is_there, "{table} has lost {row:?}");
            }
        }
    }
}

async fn tables(db: &DatabaseConnection) -> Vec<String> {
    all(db, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name").await
}

async fn columns(db: &DatabaseConnection, table: &str) -> Vec<String> {
    all(db, &format!("SELECT name FROM pragma_table_info('{table}')")).await
}

/// Returns the only column of all rows.
async fn all(db: &DatabaseConnection, select: &str) -> Vec<String> {
    let rows = db.query_all_raw(Statement::from_string(DbBackend::Sqlite, select)).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}
