//! The data that a server in development mode left in the database. There anyone is any user, so a
//! server in production accepts none of it.

use presence_core::model::ApplicationState;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use crate::error::StoreError;
use crate::store::Store;
use crate::tables::{app, session};

/// The numbers of what was discarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiscardedDevelopment {
    /// The number of sessions that ended.
    pub sessions: u64,
    /// The number of Applications whose domains must be verified again.
    pub apps: u64,
}

impl Store {
    /// Ends the sessions that were opened in development mode, and makes the Applications that were
    /// verified in it *registered* again.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn discard_development(&self) -> Result<DiscardedDevelopment, StoreError> {
        let transaction = self.begin_writing().await?;
        let sessions = session::Entity::delete_many()
            .filter(session::Column::Development.eq(true))
            .exec(&transaction)
            .await?;
        let apps = app::Entity::update_many()
            .col_expr(app::Column::State, ApplicationState::Registered.name().into())
            .filter(app::Column::Development.eq(true))
            .filter(app::Column::State.ne(ApplicationState::Registered.name()))
            .exec(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(DiscardedDevelopment { sessions: sessions.rows_affected, apps: apps.rows_affected })
    }
}
