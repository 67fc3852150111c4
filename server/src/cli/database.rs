//! What the command line does with a database, beside serving it.

use std::path::PathBuf;

use presence_service::{Backup, Inspection, PresenceService, StoreError};

use super::{Failure, say};
use crate::lifecycle::with_causes;
use crate::settings::Settings;

/// Says whether the database can be used, and how old its tables are.
pub(super) async fn check(settings: &Settings) -> Result<(), Failure> {
    let found = PresenceService::inspect_database(&settings.database).await.map_err(failed)?;
    say(&format!("database: {}", described(&found)));
    Ok(())
}

/// Copies the database, and says what was made.
pub(super) async fn back_up(settings: Settings, to: PathBuf) -> Result<(), Failure> {
    let made = PresenceService::back_up_database(&settings.database, &to).await.map_err(failed)?;
    let Backup { schema, bytes } = made;
    say(&format!("backup: {}, {bytes} bytes, schema {schema}", to.display()));
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn failed(error: StoreError) -> Failure {
    Failure(1, format!("database: {}", with_causes(&error)))
}

fn described(found: &Inspection) -> String {
    let Inspection { in_use, schema, newest } = found;
    let Some(schema) = schema else {
        return format!("ok, to be made with the schema {newest} when the server starts");
    };
    let step = if schema == newest {
        String::new()
    } else {
        format!(", to be brought to {newest} when this server starts")
    };
    let used = if *in_use { ", in use by a running server" } else { "" };
    format!("ok{used}, schema {schema}{step}")
}
