//! Sessions of users. Of their tokens only the digests are stored.

use presence_core::UnixMillis;
use presence_core::model::{Email, Session, UserId};
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, QueryFilter};

use crate::error::StoreError;
use crate::rows::{number_to_column, time_to_column};
use crate::store::Store;
use crate::tables::session;

impl Store {
    /// Adds a session. Its digest must be new, and its user must exist.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn insert_session(&self, session: &Session) -> Result<(), StoreError> {
        session::Entity::insert(session::ActiveModel {
            digest: ActiveValue::Set(session.digest.to_vec()),
            user_id: ActiveValue::Set(session.user.0),
            scope: ActiveValue::Set(session.scope.name().to_owned()),
            created_at: ActiveValue::Set(time_to_column(session.created_at)),
            expires_at: ActiveValue::Set(time_to_column(session.expires_at)),
            issuer: ActiveValue::Set(session.generation.as_ref().map(|of| of.issuer.to_string())),
            generation: ActiveValue::Set(
                session.generation.as_ref().map(|of| number_to_column(of.number)),
            ),
        })
        .exec_without_returning(self.write())
        .await?;
        Ok(())
    }

    /// Returns the session with this token digest, unless it has expired.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn session(
        &self,
        digest: &[u8; 32],
        now: UnixMillis,
    ) -> Result<Option<Session>, StoreError> {
        let row = session::Entity::find_by_id(digest.to_vec())
            .filter(session::Column::ExpiresAt.gt(time_to_column(now)))
            .one(self.read())
            .await?;
        row.map(Session::try_from).transpose()
    }

    /// Returns the session with this token digest and the e-mail of its user, unless it has
    /// expired. For devices that connect: concurrent calls share statements.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn session_with_email(
        &self,
        digest: [u8; 32],
        now: UnixMillis,
    ) -> Result<Option<(Session, Email)>, StoreError> {
        self.lookup().find(digest, now, self.read()).await
    }

    /// Deletes a session. Returns false if there is none.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn delete_session(&self, digest: &[u8; 32]) -> Result<bool, StoreError> {
        let delete = session::Entity::delete_by_id(digest.to_vec());
        Ok(delete.exec(self.write()).await?.rows_affected > 0)
    }

    /// Deletes all sessions of a user, and returns their number.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn delete_sessions_of(&self, user: UserId) -> Result<u64, StoreError> {
        let delete = session::Entity::delete_many().filter(session::Column::UserId.eq(user.0));
        Ok(delete.exec(self.write()).await?.rows_affected)
    }
}
