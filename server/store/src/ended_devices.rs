//! The devices that users have ended, and what may not open them again. It is stored, so that a
//! restart lets none of them back in.

use presence_core::UnixMillis;
use presence_core::model::{Session, UserId};
use presence_protocol::DeviceName;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};

use crate::credential_cache::Owner;
use crate::error::StoreError;
use crate::row_lock::lock_user;
use crate::rows::{CHUNK, digest, is_one_of, time_from_column, time_to_column};
use crate::store::Store;
use crate::tables::{ended_assertion, session};

/// The end of a device by its user.
#[derive(Clone)]
pub struct DeviceEnd {
    /// The user.
    pub user: UserId,
    /// The device.
    pub device: DeviceName,
    /// The session that opens the device all the same, if there is one.
    pub kept_session: Option<[u8; 32]>,
    /// The sessions that let the device in, which end.
    pub sessions: Vec<[u8; 32]>,
    /// The assertions that let the device in, each with the time until which it is remembered.
    pub assertions: Vec<([u8; 32], UnixMillis)>,
}

impl Store {
    /// Records the end of a device: deletes the sessions that let it in, and lets no other session
    /// that its user has now open it.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn end_device(&self, end: &DeviceEnd) -> Result<(), StoreError> {
        let _forgets = self.credentials().forget_after(Owner::User(end.user));
        self.in_transaction(|| async {
            let transaction = self.begin_writing().await?;
            lock_user(&transaction, end.user).await?;
            end.delete_sessions(&transaction).await?;
            end.mark_sessions(&transaction).await?;
            end.insert_assertions(&transaction).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    /// Returns the assertions that let ended devices in and have not expired, the last to expire
    /// first, at most `limit`.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn ended_assertions(
        &self,
        now: UnixMillis,
        limit: u64,
    ) -> Result<Vec<(UserId, ([u8; 32], UnixMillis))>, StoreError> {
        let rows = ended_assertion::Entity::find()
            .filter(ended_assertion::Column::ExpiresAt.gt(time_to_column(now)))
            .order_by_desc(ended_assertion::Column::ExpiresAt)
            .limit(limit)
            .all(self.read())
            .await?;
        let ended = |row: ended_assertion::Model| {
            let expires_at = time_from_column("ended_assertions", row.expires_at)?;
            Ok((UserId(row.user_id), (digest("ended_assertions", &row.digest)?, expires_at)))
        };
        rows.into_iter().map(ended).collect()
    }
}

impl DeviceEnd {
    async fn delete_sessions(&self, txn: &DatabaseTransaction) -> Result<(), StoreError> {
        let sessions = self.sessions.iter().map(|digest| digest.to_vec());
        session::Entity::delete_many()
            .filter(session::Column::UserId.eq(self.user.0))
            .filter(is_one_of(session::Column::Digest, sessions))
            .exec(txn)
            .await?;
        Ok(())
    }

    async fn mark_sessions(&self, txn: &DatabaseTransaction) -> Result<(), StoreError> {
        let of_user = session::Entity::find().filter(session::Column::UserId.eq(self.user.0));
        for row in of_user.all(txn).await? {
            let mut session = Session::try_from(row)?;
            let is_kept = self.kept_session == Some(session.digest);
            if is_kept || !session.ended_devices.add(&self.device) {
                continue;
            }
            session::Entity::update_many()
                .col_expr(session::Column::EndedDevices, session.ended_devices.to_string().into())
                .filter(session::Column::Digest.eq(session.digest.to_vec()))
                .exec(txn)
                .await?;
        }
        Ok(())
    }

    async fn insert_assertions(&self, txn: &DatabaseTransaction) -> Result<(), StoreError> {
        for chunk in self.assertions.chunks(CHUNK) {
            let rows = chunk.iter().map(|(digest, expires_at)| ended_assertion::ActiveModel {
                digest: ActiveValue::Set(digest.to_vec()),
                user_id: ActiveValue::Set(self.user.0),
                expires_at: ActiveValue::Set(time_to_column(*expires_at)),
            });
            let known = OnConflict::column(ended_assertion::Column::Digest)
                .update_column(ended_assertion::Column::ExpiresAt)
                .to_owned();
            let insert = ended_assertion::Entity::insert_many(rows).on_conflict(known);
            insert.exec_without_returning(txn).await?;
        }
        Ok(())
    }
}
