//! Deletes expired sessions, ended assertions, idempotency keys and records of ACME. The writer
//! expires notifications, since they get receipts.

use presence_core::UnixMillis;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait};

use crate::error::StoreError;
use crate::rows::time_to_column;
use crate::store::Store;
use crate::tables::{acme, ended_assertion, idempotency, session};

/// The maximum number of rows of one table that one call deletes, since the writer waits meanwhile.
const MAX_ROWS: u64 = 2_000;

impl Store {
    /// Deletes expired sessions, ended assertions, idempotency keys and records of ACME, at most
    /// 2,000 of each, and returns their number. If there may be more, call it again after a pause.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn purge(&self, now: UnixMillis) -> Result<u64, StoreError> {
        let sessions = self.purge_table::<session::Entity>(session::Column::ExpiresAt, now).await?;
        let keys =
            self.purge_table::<idempotency::Entity>(idempotency::Column::ExpiresAt, now).await?;
        let expires_at = ended_assertion::Column::ExpiresAt;
        let assertions = self.purge_table::<ended_assertion::Entity>(expires_at, now).await?;
        let records = self.purge_table::<acme::Entity>(acme::Column::ExpiresAt, now).await?;
        Ok(sessions + keys + assertions + records)
    }

    async fn purge_table<E: EntityTrait>(
        &self,
        expires_at: E::Column,
        now: UnixMillis,
    ) -> Result<u64, StoreError> {
        // The place of a row. By a key of two columns, SQLite looks at all rows that have the first
        // in common.
        let place = Expr::col(if self.live().is_some() { "ctid" } else { "rowid" });
        let expired = E::find()
            .select_only()
            .expr(place.clone())
            .filter(expires_at.lte(time_to_column(now)))
            .limit(MAX_ROWS)
            .into_query();
        let deleted =
            E::delete_many().filter(place.in_subquery(expired)).exec(self.write()).await?;
        Ok(deleted.rows_affected)
    }
}
