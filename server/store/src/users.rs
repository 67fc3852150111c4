//! Users: a verified e-mail and a number. The writer erases them.

use presence_core::UnixMillis;
use presence_core::model::{Email, UserId};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use crate::error::StoreError;
use crate::rows::{email, time_to_column};
use crate::store::Store;
use crate::tables::user;

impl Store {
    /// Returns the user of an e-mail, and creates one if there is none. Writes only in that case.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn find_or_create_user(
        &self,
        email: &Email,
        now: UnixMillis,
    ) -> Result<UserId, StoreError> {
        if let Some(user) = self.find_user(email).await? {
            return Ok(user);
        }
        user::Entity::insert(user::ActiveModel {
            email: ActiveValue::Set(email.as_str().to_owned()),
            revision: ActiveValue::Set(0),
            created_at: ActiveValue::Set(time_to_column(now)),
            ..Default::default()
        })
        .on_conflict(OnConflict::column(user::Column::Email).do_nothing().to_owned())
        .exec_without_returning(self.write())
        .await?;
        find(self.write(), email).await?.ok_or(StoreError::CorruptRow("users"))
    }

    /// Returns the user of an e-mail.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn find_user(&self, email: &Email) -> Result<Option<UserId>, StoreError> {
        find(self.read(), email).await
    }

    /// Returns the e-mail of a user.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn email_of(&self, user: UserId) -> Result<Option<Email>, StoreError> {
        let row = user::Entity::find_by_id(user.0).one(self.read()).await?;
        row.map(|row| email(&row.email)).transpose()
    }
}

async fn find<C: ConnectionTrait>(db: &C, email: &Email) -> Result<Option<UserId>, StoreError> {
    let row = user::Entity::find().filter(user::Column::Email.eq(email.as_str())).one(db).await?;
    Ok(row.map(|row| UserId(row.id)))
}
