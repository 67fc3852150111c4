//! All data about one user, for the user's request for a copy.

use std::collections::HashMap;

use presence_core::UnixMillis;
use presence_core::model::{App, Email, Notification, UserId};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder};

use crate::error::StoreError;
use crate::grants::GrantedApp;
use crate::rows::{NotificationRow, Sender, email, notification, time_from_column};
use crate::store::Store;
use crate::tables::{grant, notification, session, user};

/// All data about one user.
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
    /// The stored notifications in the order of acceptance, also settled ones whose receipt is
    /// withheld.
    pub notifications: Vec<Notification>,
}

impl Store {
    /// Returns all data about a user.
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
        let notifications = self.notifications_of(user, &grants, now).await?;
        Ok(Some(Account {
            user,
            email: email(&row.email)?,
            created_at: time_from_column("users", row.created_at)?,
            sessions: sessions.count(self.read()).await?,
            apps: self.apps_of(user).await?,
            grants,
            notifications,
        }))
    }

    async fn notifications_of(
        &self,
        user: UserId,
        grants: &[GrantedApp],
        now: UnixMillis,
    ) -> Result<Vec<Notification>, StoreError> {
        let sender = |granted: &GrantedApp| Sender {
            name: granted.displayed_name(now).into(),
            domain: granted.domain.as_str().into(),
        };
        let senders: HashMap<String, Sender> =
            grants.iter().map(|granted| (granted.grant.app.to_string(), sender(granted))).collect();
        let rows: Vec<NotificationRow> = NotificationRow::find()
            .filter(grant::Column::UserId.eq(user.0))
            .order_by_asc(notification::Column::Seq)
            .into_model()
            .all(self.read())
            .await?;
        // A row whose grant was added or removed between the two reads is left out.
        rows.into_iter()
            .filter_map(|row| {
                let sender = senders.get(&row.app_id)?;
                Some(notification(row, sender))
            })
            .collect()
    }
}
