//! The Applications that send notifications, as devices see them, with a cache of them.

use std::collections::HashMap;
use std::sync::Arc;

use presence_core::UnixMillis;
use presence_core::model::{PreviousName, displayed_name};
use presence_protocol::AppId;
use sea_orm::{ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect};

use crate::credential_cache::{CredentialCache, ForgetMark, Owner};
use crate::error::StoreError;
use crate::rows::{CHUNK, Sender, id, is_one_of, previous_name};
use crate::tables::app;

/// The cache of Applications that have sent notifications. Other components than the writer change
/// names, so an entry is used only while nothing of its Application was forgotten in the cache of
/// credentials; never where several servers share the database. After a rollback it is cleared.
#[derive(Default)]
pub(super) struct Senders(HashMap<AppId, CachedSender>);

struct CachedSender {
    name: Arc<str>,
    previous: Option<PreviousName>,
    domain: Arc<str>,
    /// The mark before it was read.
    mark: ForgetMark,
}

impl Senders {
    /// The maximum number of entries, which need about 4 MB. A full cache is cleared.
    const CAPACITY: usize = 16_384;

    /// Returns these Applications, and reads those that are not in the cache.
    pub(super) async fn read<C: ConnectionTrait>(
        &mut self,
        apps: &[AppId],
        (now, credentials): (UnixMillis, &CredentialCache),
        db: &C,
    ) -> Result<HashMap<AppId, Sender>, StoreError> {
        if self.0.len() + apps.len() > Self::CAPACITY {
            self.0.clear();
        }
        let mark = credentials.mark();
        let is_known = |app: &AppId| {
            let known = self.0.get(app);
            known.is_some_and(|known| {
                credentials.is_certainly_unchanged(Owner::App(*app), known.mark)
            })
        };
        let unknown: Vec<AppId> = apps.iter().filter(|app| !is_known(app)).copied().collect();
        for app in &unknown {
            self.0.remove(app);
        }
        for chunk in unknown.chunks(CHUNK) {
            for row in read(chunk, db).await? {
                self.0.insert(id("apps", &row.id)?, row.cached(mark)?);
            }
        }
        let found = |app: &AppId| Some((*app, self.0.get(app)?.sender(now)));
        Ok(apps.iter().filter_map(found).collect())
    }

    /// Removes an Application that the current transaction changes.
    pub(super) fn forget(&mut self, app: AppId) {
        self.0.remove(&app);
    }
}

impl CachedSender {
    fn sender(&self, now: UnixMillis) -> Sender {
        let name = match &self.previous {
            None => Arc::clone(&self.name),
            previous => displayed_name(&self.name, previous.as_ref(), now).into(),
        };
        Sender { name, domain: Arc::clone(&self.domain) }
    }
}

#[derive(FromQueryResult)]
struct SenderRow {
    id: String,
    name: String,
    domain: String,
    previous_name: Option<String>,
    renamed_at: Option<i64>,
}

impl SenderRow {
    fn cached(self, mark: ForgetMark) -> Result<CachedSender, StoreError> {
        let previous = previous_name(self.previous_name, self.renamed_at)?;
        Ok(CachedSender { name: self.name.into(), previous, domain: self.domain.into(), mark })
    }
}

async fn read<C: ConnectionTrait>(apps: &[AppId], db: &C) -> Result<Vec<SenderRow>, StoreError> {
    let query = app::Entity::find()
        .select_only()
        .columns([
            app::Column::Id,
            app::Column::Name,
            app::Column::Domain,
            app::Column::PreviousName,
            app::Column::RenamedAt,
        ])
        .filter(is_one_of(app::Column::Id, apps.iter().map(AppId::to_string)));
    Ok(query.into_model().all(db).await?)
}
