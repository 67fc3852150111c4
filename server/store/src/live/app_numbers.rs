//! The numbers of Applications that are known.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use presence_protocol::AppId;
use sea_orm::{ConnectionTrait, QueryResult};

use super::arrays::texts;
use super::statements::query;
use crate::error::StoreError;
use crate::rows::id;

/// The maximum number of Applications whose numbers are kept. Beyond it all are read again.
const CAPACITY: usize = 100_000;

/// The numbers that are known.
#[derive(Default)]
pub(super) struct AppNumbers(Mutex<Known>);

/// The numbers that were read.
#[derive(Default)]
pub(super) struct Known {
    pub(super) numbers: HashMap<AppId, i32>,
    pub(super) apps: HashMap<i32, AppId>,
}

impl AppNumbers {
    pub(super) fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the numbers that are not known. An Application that does not exist gets none.
    pub(super) async fn read<C: ConnectionTrait>(
        &self,
        apps: &[AppId],
        db: &C,
    ) -> Result<(), StoreError> {
        let unknown: Vec<String> = {
            let known = self.lock();
            let unknown = apps.iter().filter(|app| !known.numbers.contains_key(app));
            unknown.map(AppId::to_string).collect()
        };
        if unknown.is_empty() {
            return Ok(());
        }
        let rows = query(db, "SELECT id, number FROM apps WHERE id = ANY ($1)", [texts(unknown)]);
        self.add(&rows.await?)
    }

    /// Adds rows with the id and the number of an Application.
    pub(super) fn add(&self, rows: &[QueryResult]) -> Result<(), StoreError> {
        let mut known = self.lock();
        if known.numbers.len() + rows.len() > CAPACITY {
            *known = Known::default();
        }
        for row in rows {
            let (app, number): (String, i32) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            let app = id("apps", &app)?;
            known.numbers.insert(app, number);
            known.apps.insert(number, app);
        }
        Ok(())
    }
}
