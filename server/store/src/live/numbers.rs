//! The numbers of Applications inside the shared tables. A number never changes.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use presence_protocol::AppId;
use sea_orm::ConnectionTrait;

use super::arrays::{ints, texts};
use super::{Live, query};
use crate::error::StoreError;
use crate::rows::id;

/// The maximum number of Applications whose numbers are kept. Beyond it all are read again.
const CAPACITY: usize = 100_000;

/// The numbers that are known.
#[derive(Default)]
pub(super) struct AppNumbers(Mutex<Known>);

#[derive(Default)]
struct Known {
    numbers: HashMap<AppId, i32>,
    apps: HashMap<i32, AppId>,
}

impl AppNumbers {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the numbers that are not known. An Application that does not exist gets none.
    async fn read<C: ConnectionTrait>(&self, apps: &[AppId], db: &C) -> Result<(), StoreError> {
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

    fn add(&self, rows: &[sea_orm::QueryResult]) -> Result<(), StoreError> {
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

impl Live {
    /// Reads the numbers of Applications again, of which some may have been removed.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub(super) async fn read_numbers_again(&self, apps: &[AppId]) -> Result<(), StoreError> {
        {
            let mut known = self.0.numbers.lock();
            for app in apps {
                known.numbers.remove(app);
            }
        }
        self.0.numbers.read(apps, self.write()).await
    }

    /// Returns the numbers of those of the Applications that exist.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub(super) async fn numbers<C: ConnectionTrait>(
        &self,
        apps: &[AppId],
        db: &C,
    ) -> Result<HashMap<AppId, i32>, StoreError> {
        let numbers = &self.0.numbers;
        numbers.read(apps, db).await?;
        let known = numbers.lock();
        Ok(apps.iter().filter_map(|app| Some((*app, *known.numbers.get(app)?))).collect())
    }

    /// Returns the Applications with these numbers.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub(super) async fn apps(&self, numbers: &[i32]) -> Result<HashMap<i32, AppId>, StoreError> {
        let known = &self.0.numbers;
        let unknown: Vec<i32> = {
            let known = known.lock();
            numbers.iter().copied().filter(|number| !known.apps.contains_key(number)).collect()
        };
        if !unknown.is_empty() {
            let sql = "SELECT id, number FROM apps WHERE number = ANY ($1)";
            known.add(&query(self.read(), sql, [ints(unknown)]).await?)?;
        }
        let known = known.lock();
        Ok(numbers.iter().filter_map(|number| Some((*number, *known.apps.get(number)?))).collect())
    }
}
