//! The data about one user, for the user's request for a copy, without the content of
//! notifications, which is read in pages.

use presence_core::UnixMillis;
use presence_core::model::{App, Email, UserId};
use sea_orm::{
    ColumnTrait, EntityTrait, JoinType, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    RelationTrait,
};

use crate::error::StoreError;
use crate::grants::GrantedApp;
use crate::rows::{email, time_from_column};
use crate::store::Store;
use crate::tables::{grant, notification, session, user};

/// The data about one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub user: UserId,
    /// The verified e-mail.
    pub email: Email,
    /// The time of the user's first sign-in.
    pub created_at: UnixMillis,
    /// The number of stored sessions, also expired ones that are not purged yet.
    pub sessions: u64,
    /// The user's grants.
    pub grants: Vec<GrantedApp>,
    /// The user's own Applications.
    pub apps: Vec<App>,
    /// The `seq` of each stored notification in the order of acceptance, also of settled ones whose
    /// receipt is withheld. [`Store::stored_page`] reads them.
    pub notifications: Vec<i64>,
}

impl Store {
    /// Returns the data about a user.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn account(
        &self,
        user: UserId,
        now: UnixMillis,
    ) -> Result<Option<Account>, StoreError> {
        let Some(row) = user::Entity::find_by_id(user.0).one(self.read()).await? else {
            return Ok(None);
        };
        let sessions = session::Entity::find().filter(session::Column::UserId.eq(user.0));
        let mut grants = self.granted_apps(user).await?;
        for granted in &mut grants {
            granted.previous_name.take_if(|previous| !previous.is_displayed(now));
        }
        Ok(Some(Account {
            user,
            email: email(&row.email)?,
            created_at: time_from_column("users", row.created_at)?,
            sessions: sessions.count(self.read()).await?,
            apps: self.apps_of(user).await?,
            grants,
            notifications: self.stored_notifications(user).await?,
        }))
    }

    /// Returns the `seq` of each stored notification of a user, in ascending order.
    async fn stored_notifications(&self, user: UserId) -> Result<Vec<i64>, StoreError> {
        let query = notification::Entity::find()
            .join(JoinType::InnerJoin, notification::Relation::Grant.def())
            .select_only()
            .column(notification::Column::Seq)
            .filter(grant::Column::UserId.eq(user.0))
            .order_by_asc(notification::Column::Seq);
        Ok(query.into_tuple().all(self.read()).await?)
    }
}
