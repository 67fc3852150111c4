//! Records when API keys, sessions and Applications were used.

use presence_core::UnixMillis;
use presence_protocol::AppId;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, DatabaseTransaction, EntityTrait, QueryFilter};

use crate::error::StoreError;
use crate::rows::time_to_column;
use crate::store::Store;
use crate::tables::{api_key, app, session};

/// A thing that was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UsedThing {
    /// An API key, by its number.
    Key(i64),
    /// A session, by its digest.
    Session([u8; 32]),
    /// An Application that read presence.
    App(AppId),
}

impl Store {
    /// Records the last uses, in one transaction. An older time than the recorded one changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn record_uses(&self, uses: &[(UsedThing, UnixMillis)]) -> Result<(), StoreError> {
        self.in_time(async {
            let transaction = self.begin_writing().await?;
            for (thing, at) in uses {
                record(*thing, time_to_column(*at), &transaction).await?;
            }
            Ok(transaction.commit().await?)
        })
        .await
    }
}

async fn record(thing: UsedThing, at: i64, db: &DatabaseTransaction) -> Result<(), StoreError> {
    match thing {
        UsedThing::Key(key) => {
            api_key::Entity::update_many()
                .col_expr(api_key::Column::LastUsedAt, Expr::value(at))
                .filter(api_key::Column::Id.eq(key))
                .filter(is_older(api_key::Column::LastUsedAt, at))
                .exec(db)
                .await?
        }
        UsedThing::Session(digest) => {
            session::Entity::update_many()
                .col_expr(session::Column::LastUsedAt, Expr::value(at))
                .filter(session::Column::Digest.eq(digest.to_vec()))
                .filter(is_older(session::Column::LastUsedAt, at))
                .exec(db)
                .await?
        }
        UsedThing::App(app) => {
            app::Entity::update_many()
                .col_expr(app::Column::LastLookedAt, Expr::value(at))
                .filter(app::Column::Id.eq(app.to_string()))
                .filter(is_older(app::Column::LastLookedAt, at))
                .exec(db)
                .await?
        }
    };
    Ok(())
}

fn is_older(column: impl ColumnTrait, at: i64) -> Condition {
    Condition::any().add(column.is_null()).add(column.lt(at))
}
