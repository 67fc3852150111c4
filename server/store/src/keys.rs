//! API keys. Only their digests are stored.

use presence_core::model::ApiKey;
use presence_core::{Steady, UnixMillis};
use presence_protocol::AppId;
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder};
use subtle::ConstantTimeEq;

use crate::credential_cache::{FoundKey, Owner};
use crate::error::StoreError;
use crate::row_lock::lock_app;
use crate::rows::time_to_column;
use crate::store::Store;
use crate::tables::api_key;

impl Store {
    /// Adds a key to an Application, which must exist. Returns `None` if it has `limit` keys
    /// already.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn insert_key(
        &self,
        app: AppId,
        (prefix, digest): (&str, [u8; 32]),
        now: UnixMillis,
        limit: u64,
    ) -> Result<Option<ApiKey>, StoreError> {
        self.in_transaction(|| async {
            let transaction = self.begin_writing().await?;
            lock_app(&transaction, app).await?;
            let of_app = api_key::Entity::find().filter(api_key::Column::AppId.eq(app.to_string()));
            if of_app.count(&transaction).await? >= limit {
                return Ok(None);
            }
            let row = api_key::ActiveModel {
                app_id: ActiveValue::Set(app.to_string()),
                prefix: ActiveValue::Set(prefix.to_owned()),
                digest: ActiveValue::Set(digest.to_vec()),
                created_at: ActiveValue::Set(time_to_column(now)),
                last_used_at: ActiveValue::Set(None),
                ..Default::default()
            };
            let row = api_key::Entity::insert(row).exec_with_returning(&transaction).await?;
            transaction.commit().await?;
            row.try_into().map(Some)
        })
        .await
    }

    /// Returns the key with this prefix and digest, and the state of its Application. A key that
    /// was found lately is cached.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn find_key(
        &self,
        (prefix, digest): (&str, [u8; 32]),
        now: Steady,
    ) -> Result<Option<FoundKey>, StoreError> {
        self.credentials().find(digest, now, self.read_key(prefix, digest)).await
    }

    async fn read_key(
        &self,
        prefix: &str,
        digest: [u8; 32],
    ) -> Result<Option<FoundKey>, StoreError> {
        let query = api_key::Entity::find().filter(api_key::Column::Prefix.eq(prefix));
        let candidates: Result<Vec<ApiKey>, _> =
            query.all(self.read()).await?.into_iter().map(ApiKey::try_from).collect();
        let is_equal = |key: &ApiKey| bool::from(key.digest.ct_eq(&digest));
        let Some(key) = candidates?.into_iter().find(is_equal) else { return Ok(None) };
        let app = self.app(key.app).await?;
        Ok(app.map(|app| FoundKey { id: key.id, app: app.id, state: app.state }))
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
        let _forgets = self.credentials().forget_after(Owner::App(app));
        let delete = api_key::Entity::delete_many()
            .filter(api_key::Column::AppId.eq(app.to_string()))
            .filter(api_key::Column::Id.eq(key));
        Ok(delete.exec(self.write()).await?.rows_affected > 0)
    }
}
