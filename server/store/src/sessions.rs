//! Sessions of users, of whose tokens only the digests are kept.

use presence_core::UnixMillis;
use presence_core::model::{Email, Session, UserId};
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, QueryFilter};

use crate::error::StoreError;
use crate::rows::{stored, stored_number};
use crate::store::Store;
use crate::tables::session;

impl Store {
    /// Adds a session. Its digest must be new, its user there.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn insert_session(&self, session: &Session) -> Result<(), StoreError> {
        session::Entity::insert(session::ActiveModel {
            digest: ActiveValue::Set(session.digest.to_vec()),
            user_id: ActiveValue::Set(session.user.0),
            scope: ActiveValue::Set(session.scope.name().to_owned()),
            created_at: ActiveValue::Set(stored(session.created_at)),
            expires_at: ActiveValue::Set(stored(session.expires_at)),
            issuer: ActiveValue::Set(session.generation.as_ref().map(|of| of.issuer.to_string())),
            generation: ActiveValue::Set(
                session.generation.as_ref().map(|of| stored_number(of.number)),
            ),
        })
        .exec_without_returning(self.write())
        .await?;
        Ok(())
    }

    /// The session of a token, unless it has expired.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Nonsense`.
    pub async fn session(
        &self,
        digest: &[u8; 32],
        now: UnixMillis,
    ) -> Result<Option<Session>, StoreError> {
        let row = session::Entity::find_by_id(digest.to_vec())
            .filter(session::Column::ExpiresAt.gt(stored(now)))
            .one(self.read())
            .await?;
        row.map(Session::try_from).transpose()
    }

    /// The session of a token, unless it has expired, and the e-mail of its user. For devices that connect: many of them are answered
    /// together.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Nonsense`.
    pub async fn session_with_email(
        &self,
        digest: [u8; 32],
        now: UnixMillis,
    ) -> Result<Option<(Session, Email)>, StoreError> {
        self.lookup().find(digest, now, self.read()).await
    }

    /// Ends a session. False where there is none.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn delete_session(&self, digest: &[u8; 32]) -> Result<bool, StoreError> {
        let delete = session::Entity::delete_by_id(digest.to_vec());
        Ok(delete.exec(self.write()).await?.rows_affected > 0)
    }

    /// Ends all sessions of a user, and tells how many there were.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn delete_sessions_of(&self, user: UserId) -> Result<u64, StoreError> {
        let delete = session::Entity::delete_many().filter(session::Column::UserId.eq(user.0));
        Ok(delete.exec(self.write()).await?.rows_affected)
    }
}
