//! Records when API keys, sessions and Applications were used.

use std::collections::BTreeMap;

use presence_core::UnixMillis;
use presence_protocol::AppId;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, DatabaseTransaction, EntityTrait, QueryFilter};

use crate::error::StoreError;
use crate::rows::{CHUNK, is_one_of, time_to_column};
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
    /// Records the last uses, each to its second, in one transaction. An older time than the
    /// recorded one changes nothing. Uses of the same second share a statement.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn record_uses(&self, uses: &[(UsedThing, UnixMillis)]) -> Result<(), StoreError> {
        self.in_transaction(|| async {
            let transaction = self.begin_writing().await?;
            for (at, things) in by_second(uses) {
                for chunk in things.chunks(CHUNK) {
                    record(chunk, at, &transaction).await?;
                }
            }
            Ok(transaction.commit().await?)
        })
        .await
    }
}

/// Returns the things that were used in each second, which is a column's value.
fn by_second(uses: &[(UsedThing, UnixMillis)]) -> BTreeMap<i64, Vec<UsedThing>> {
    let mut things: BTreeMap<i64, Vec<UsedThing>> = BTreeMap::new();
    for (thing, at) in uses {
        things.entry(time_to_column(at.truncated_to_secs())).or_default().push(*thing);
    }
    things
}

async fn record(things: &[UsedThing], at: i64, db: &DatabaseTransaction) -> Result<(), StoreError> {
    let (mut keys, mut sessions, mut apps) = (Vec::new(), Vec::new(), Vec::new());
    for thing in things {
        match thing {
            UsedThing::Key(key) => keys.push(*key),
            UsedThing::Session(digest) => sessions.push(digest.to_vec()),
            UsedThing::App(app) => apps.push(app.to_string()),
        }
    }
    if !apps.is_empty() {
        app::Entity::update_many()
            .col_expr(app::Column::LastLookedAt, Expr::value(at))
            .filter(is_one_of(app::Column::Id, apps))
            .filter(is_older(app::Column::LastLookedAt, at))
            .exec(db)
            .await?;
    }
    if !sessions.is_empty() {
        session::Entity::update_many()
            .col_expr(session::Column::LastUsedAt, Expr::value(at))
            .filter(is_one_of(session::Column::Digest, sessions))
            .filter(is_older(session::Column::LastUsedAt, at))
            .exec(db)
            .await?;
    }
    if !keys.is_empty() {
        api_key::Entity::update_many()
            .col_expr(api_key::Column::LastUsedAt, Expr::value(at))
            .filter(is_one_of(api_key::Column::Id, keys))
            .filter(is_older(api_key::Column::LastUsedAt, at))
            .exec(db)
            .await?;
    }
    Ok(())
}

fn is_older(column: impl ColumnTrait, at: i64) -> Condition {
    Condition::any().add(column.is_null()).add(column.lt(at))
}
