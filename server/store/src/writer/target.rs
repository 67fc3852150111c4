//! The grants to which notifications are sent, with the cache of them, and the names that a sender
//! may not use.

use std::collections::{HashMap, HashSet};

use presence_core::model::UserId;
use presence_protocol::{AppId, Puid};
use sea_orm::sea_query::{Asterisk, Expr, ExprTrait, Query, SubQueryStatement};
use sea_orm::{
    ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, Statement,
    Value,
};

use crate::error::StoreError;
use crate::rows::{CHUNK, NotificationState, id, is_one_of, padded};
use crate::tables::{grant, notification};

/// A grant that an Application sends notifications to.
pub(super) struct Target {
    /// The number of the grant.
    pub(super) grant: i64,
    pub(super) app: AppId,
    pub(super) user: UserId,
    /// Set while the grant is paused or waits for the consent to another domain.
    pub(super) suspended: bool,
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
    waiting_since: Option<i64>,
    rows: i64,
}

impl TargetRow {
    fn target(&self) -> Result<Target, StoreError> {
        Ok(Target {
            grant: self.id,
            app: id("grants", &self.app_id)?,
            user: UserId(self.user_id),
            suspended: self.paused || self.waiting_since.is_some(),
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
        .and_where(
            Expr::col((notification::Entity, notification::Column::State))
                .lt(NotificationState::FIRST_ENDED),
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
            grant::Column::WaitingSince,
        ])
        .expr_as(Expr::from(SubQueryStatement::from(rows)), "rows")
        .filter(is_one_of(grant::Column::Puid, puids.iter().map(Puid::to_string)));
    Ok(query.into_model().all(db).await?)
}

/// Returns those of the skeletons that belong to the name of an Application other than the given
/// one, and not to the name of that one.
pub(super) async fn skeletons_of_others<C: ConnectionTrait>(
    wanted: &[(AppId, &str)],
    db: &C,
) -> Result<HashSet<(AppId, String)>, StoreError> {
    let mut found = HashSet::new();
    for chunk in wanted.chunks(CHUNK) {
        let pairs = padded(chunk.iter().copied());
        let backend = db.get_database_backend();
        let places = pair_places(pairs.len(), backend);
        // The first or second row of a skeleton decides, however many Applications have it.
        let sql = format!(
            "WITH wanted (app, skeleton) AS (VALUES {places}) SELECT app, skeleton FROM wanted \
             WHERE EXISTS (SELECT 1 FROM name_skeletons n \
             WHERE n.skeleton = wanted.skeleton AND n.app_id <> wanted.app) \
             AND NOT EXISTS (SELECT 1 FROM name_skeletons n \
             WHERE n.skeleton = wanted.skeleton AND n.app_id = wanted.app)"
        );
        let values = pairs.iter().flat_map(|(app, skeleton)| {
            [Value::from(app.to_string()), Value::from((*skeleton).to_owned())]
        });
        let query = Statement::from_sql_and_values(backend, sql, values);
        for row in db.query_all_raw(query).await? {
            let app: String = row.try_get_by_index(0)?;
            found.insert((id("apps", &app)?, row.try_get_by_index(1)?));
        }
    }
    Ok(found)
}

/// Returns the places of pairs of values in a statement.
fn pair_places(count: usize, backend: DbBackend) -> String {
    let place = |number: usize| {
        if backend == DbBackend::Postgres {
            format!("(${}, ${})", 2 * number + 1, 2 * number + 2)
        } else {
            "(?, ?)".to_owned()
        }
    };
    (0..count).map(place).collect::<Vec<_>>().join(", ")
}
