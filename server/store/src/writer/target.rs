//! The grants to which notifications are sent, and the cache of them.

use std::collections::HashMap;
use std::sync::Arc;

use presence_core::model::UserId;
use presence_protocol::{AppId, Puid};
use sea_orm::sea_query::{Asterisk, Expr, ExprTrait, Query, SubQueryStatement};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect,
};

use crate::error::StoreError;
use crate::rows::{CHUNK, id, padded};
use crate::tables::{app, grant, notification};

/// A grant that an Application sends notifications to.
pub(super) struct Target {
    /// The number of the grant.
    pub(super) grant: i64,
    pub(super) app: AppId,
    pub(super) user: UserId,
    pub(super) paused: bool,
    /// The number of notifications that have a row.
    pub(super) rows: usize,
}

/// The cache of grants that the writer has used. Only the writer changes grants and queues, so the
/// cache is what the current transaction sees, if each change of them is made here too. After a
/// rollback the cache is cleared.
#[derive(Default)]
pub(super) struct Targets(HashMap<Puid, Target>);

impl Targets {
    /// The maximum number of entries, which need about 4 MB. A full cache is cleared.
    const CAPACITY: usize = 32_768;

    /// Reads the grants that are not in the cache. A PUID without a grant gets no entry.
    pub(super) async fn read<C: ConnectionTrait>(
        &mut self,
        puids: &[Puid],
        db: &C,
    ) -> Result<(), StoreError> {
        if self.0.len() + puids.len() > Self::CAPACITY {
            self.0.clear();
        }
        let unknown: Vec<Puid> =
            puids.iter().filter(|puid| !self.0.contains_key(puid)).copied().collect();
        for chunk in unknown.chunks(CHUNK) {
            for row in read(chunk, db).await? {
                self.0.insert(id("grants", &row.puid)?, row.target()?);
            }
        }
        Ok(())
    }

    pub(super) fn get(&self, puid: &Puid) -> Option<&Target> {
        self.0.get(puid)
    }

    pub(super) fn get_mut(&mut self, puid: &Puid) -> Option<&mut Target> {
        self.0.get_mut(puid)
    }

    /// Counts a notification whose row was deleted.
    pub(super) fn count_deleted(&mut self, puid: &Puid) {
        if let Some(target) = self.0.get_mut(puid) {
            target.rows = target.rows.saturating_sub(1);
        }
    }

    /// Removes a grant from the cache.
    pub(super) fn forget(&mut self, puid: &Puid) {
        self.0.remove(puid);
    }

    pub(super) fn forget_where(&mut self, which: impl Fn(&Target) -> bool) {
        self.0.retain(|_, target| !which(target));
    }
}

#[derive(FromQueryResult)]
struct TargetRow {
    id: i64,
    puid: String,
    app_id: String,
    user_id: i64,
    paused: bool,
    rows: i64,
}

impl TargetRow {
    fn target(&self) -> Result<Target, StoreError> {
        Ok(Target {
            grant: self.id,
            app: id("grants", &self.app_id)?,
            user: UserId(self.user_id),
            paused: self.paused,
            rows: self.rows.try_into().map_err(|_| StoreError::CorruptRow("notifications"))?,
        })
    }
}

/// Reads the grants with their number of rows. Counting for each grant takes a third of the time of
/// a `GROUP BY`.
async fn read<C: ConnectionTrait>(puids: &[Puid], db: &C) -> Result<Vec<TargetRow>, StoreError> {
    let rows = Query::select()
        .expr(Expr::col(Asterisk).count())
        .from(notification::Entity)
        .and_where(
            Expr::col((notification::Entity, notification::Column::GrantId))
                .equals((grant::Entity, grant::Column::Id)),
        )
        .take();
    let query = grant::Entity::find()
        .select_only()
        .columns([
            grant::Column::Id,
            grant::Column::Puid,
            grant::Column::AppId,
            grant::Column::UserId,
            grant::Column::Paused,
        ])
        .expr_as(Expr::from(SubQueryStatement::from(rows)), "rows")
        .filter(grant::Column::Puid.is_in(padded(puids.iter().map(Puid::to_string))));
    Ok(query.into_model().all(db).await?)
}

/// Reads the names of these Applications, which are the sources of their notifications.
pub(super) async fn names<C: ConnectionTrait>(
    apps: &[AppId],
    db: &C,
) -> Result<HashMap<AppId, Arc<str>>, StoreError> {
    let mut names = HashMap::with_capacity(apps.len());
    for chunk in apps.chunks(CHUNK) {
        let rows: Vec<(String, String)> = app::Entity::find()
            .select_only()
            .columns([app::Column::Id, app::Column::Name])
            .filter(app::Column::Id.is_in(padded(chunk.iter().map(AppId::to_string))))
            .into_tuple()
            .all(db)
            .await?;
        for (app, name) in rows {
            names.insert(id("apps", &app)?, name.into());
        }
    }
    Ok(names)
}
