//! The commands that use the database without serving it.

use std::path::PathBuf;

use presence_service::{Backup, DatabaseCopy, Inspection, PresenceService, StoreError};
use secrecy::{ExposeSecret, SecretString};

use super::output::{CommandError, failure, print};
use crate::lifecycle::error::with_causes;
use crate::settings::Settings;

/// The advice for a command that finds no database, usually for lack of the settings of the server.
const NAME_IT: &str = ": name it with --database, or its settings with --config";

/// Checks that the database can be used, and prints the version of its schema.
pub(super) async fn check(settings: &Settings) -> Result<(), CommandError> {
    let inspection =
        PresenceService::inspect_database(&settings.database).await.map_err(database_failure)?;
    print(&format!("database: {}", summary(&inspection)))
}

/// Copies the database to a new file, and prints its size.
pub(super) async fn back_up(settings: Settings, to: PathBuf) -> Result<(), CommandError> {
    let backup = PresenceService::back_up_database(&settings.database, &to);
    let Backup { schema, bytes } = backup.await.map_err(database_failure)?;
    print(&format!("backup: {}, {bytes} bytes, schema {schema}", to.display()))
}

/// Copies the database to PostgreSQL, and prints the number of rows of each table.
pub(super) async fn copy(settings: Settings, to: SecretString) -> Result<(), CommandError> {
    let copied = PresenceService::copy_database(&settings.database, to.expose_secret()).await;
    let DatabaseCopy(tables) = copied.map_err(database_failure)?;
    let rows = tables.iter().map(|(table, rows)| format!("copied: {table}, {rows} rows"));
    let rows: Vec<String> = rows.collect();
    print(&rows.join("\n"))?;
    print("next: start the server with the new database, and keep the file until it works")
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes the error by value")]
fn database_failure(error: StoreError) -> CommandError {
    let advice = if matches!(error, StoreError::NoSource(_)) { NAME_IT } else { "" };
    failure(format!("database: {}{advice}", with_causes(&error)))
}

fn summary(inspection: &Inspection) -> String {
    let Inspection { in_use, schema, newest } = inspection;
    let Some(schema) = schema else {
        return format!("ok, empty; the server creates schema {newest} when it starts");
    };
    let migration = if schema == newest {
        String::new()
    } else {
        format!(", to be migrated to {newest} when this server starts")
    };
    let used = if *in_use { ", in use by a running server" } else { "" };
    format!("ok{used}, schema {schema}{migration}")
}
