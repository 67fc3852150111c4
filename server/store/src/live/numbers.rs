//! The numbers of Applications inside the shared tables. A number never changes.

use std::collections::HashMap;

use presence_protocol::AppId;
use sea_orm::ConnectionTrait;

use super::arrays::ints;
use super::{Live, query};
use crate::error::StoreError;

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
    pub(crate) async fn numbers<C: ConnectionTrait>(
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
