//! API keys. Only their digests are stored.

use std::time::Duration;

use presence_core::UnixMillis;
use presence_core::model::ApiKey;
use presence_protocol::AppId;
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveValue, ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder};

use crate::error::StoreError;
use crate::rows::time_to_column;
use crate::store::Store;
use crate::tables::api_key;

/// The shortest time between two recorded uses of a key.
const RECORD_INTERVAL: Duration = Duration::from_mins(1);

impl Store {
    /// Adds a key to an Application, which must exist.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn insert_key(
        &self,
        app: AppId,
        prefix: &str,
        digest: [u8; 32],
        now: UnixMillis,
    ) -> Result<ApiKey, StoreError> {
        let row = api_key::ActiveModel {
            app_id: ActiveValue::Set(app.to_string()),
            prefix: ActiveValue::Set(prefix.to_owned()),
            digest: ActiveValue::Set(digest.to_vec()),
            created_at: ActiveValue::Set(time_to_column(now)),
            last_used_at: ActiveValue::Set(None),
            ..Default::default()
        };
        api_key::Entity::insert(row).exec_with_returning(self.write()).await?.try_into()
    }

    /// Returns the keys with this prefix: usually one.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn keys_by_prefix(&self, prefix: &str) -> Result<Vec<ApiKey>, StoreError> {
        let query = api_key::Entity::find().filter(api_key::Column::Prefix.eq(prefix));
        query.all(self.read()).await?.into_iter().map(ApiKey::try_from).collect()
    }

    /// Returns the keys of an Application, the oldest first.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn keys_of(&self, app: AppId) -> Result<Vec<ApiKey>, StoreError> {
        let rows = api_key::Entity::find()
            .filter(api_key::Column::AppId.eq(app.to_string()))
            .order_by_asc(api_key::Column::Id)
            .all(self.read())
            .await?;
        rows.into_iter().map(ApiKey::try_from).collect()
    }

    /// Deletes a key of an Application. Returns false if it has no such key.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn delete_key(&self, app: AppId, key: i64) -> Result<bool, StoreError> {
        let delete = api_key::Entity::delete_many()
            .filter(api_key::Column::AppId.eq(app.to_string()))
            .filter(api_key::Column::Id.eq(key));
        Ok(delete.exec(self.write()).await?.rows_affected > 0)
    }

    /// Records the use of a key, at most once a minute.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn touch_key(&self, key: i64, now: UnixMillis) -> Result<(), StoreError> {
        api_key::Entity::update_many()
            .col_expr(api_key::Column::LastUsedAt, Expr::value(time_to_column(now)))
            .filter(api_key::Column::Id.eq(key))
            .filter(
                Condition::any()
                    .add(api_key::Column::LastUsedAt.is_null())
                    .add(api_key::Column::LastUsedAt.lte(time_to_column(now - RECORD_INTERVAL))),
            )
            .exec(self.write())
            .await?;
        Ok(())
    }
}
