//! Grants, as they are read. Every change of one is the writer's.

use presence_core::UnixMillis;
use presence_core::model::{ApplicationState, Grant, GrantSet, UserId};
use presence_protocol::{AppId, Puid};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, JoinType, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, RelationTrait, Select,
};

use crate::error::StoreError;
use crate::rows::{CHUNK, app_state, id, millis, padded};
use crate::store::Store;
use crate::tables::{app, grant, user};

/// A grant, with what a user wants to know of the Application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedApp {
    /// The grant.
    pub grant: Grant,
    /// The name of the Application.
    pub name: String,
    /// Its domain.
    pub domain: String,
    /// How far it has come.
    pub state: ApplicationState,
    /// When it last looked at anybody's presence, to the minute.
    pub last_looked_at: Option<UnixMillis>,
}

/// A user, with one of the user's grants or none.
#[derive(FromQueryResult)]
pub(crate) struct HolderRow {
    id: i64,
    pub(crate) revision: i64,
    #[sea_orm(nested)]
    pub(crate) grant: Option<GrantRow>,
}

/// A grant, with a little of its Application.
#[derive(FromQueryResult)]
pub(crate) struct GrantRow {
    puid: String,
    app_id: String,
    paused: bool,
    granted_at: i64,
    name: String,
    domain: String,
    state: String,
    last_looked_at: Option<i64>,
    blocked_at: Option<i64>,
}

impl Store {
    /// Which of these PUIDs are live grants of an Application, paused ones too. In no order.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Nonsense`.
    pub async fn live_puids(&self, app: AppId, puids: &[Puid]) -> Result<Vec<Puid>, StoreError> {
        let mut live = Vec::with_capacity(puids.len());
        for chunk in puids.chunks(CHUNK) {
            let query =
                puids_of(app).filter(grant::Column::Puid.is_in(chunk.iter().map(Puid::to_string)));
            live.extend(read_puids(query, self.read()).await?);
        }
        Ok(live)
    }

    /// The live PUIDs of an Application after one of them, paused ones too, in the order of the PUIDs.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Nonsense`.
    pub async fn page_of_puids(
        &self,
        app: AppId,
        after: Option<Puid>,
        limit: u64,
    ) -> Result<Vec<Puid>, StoreError> {
        let mut query = puids_of(app).order_by_asc(grant::Column::Puid).limit(limit);
        if let Some(after) = after {
            query = query.filter(grant::Column::Puid.gt(after.to_string()));
        }
        read_puids(query, self.read()).await
    }

    /// How many users let an Application see them, pausing ones too.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn count_grants_of(&self, app: AppId) -> Result<u64, StoreError> {
        let query = grant::Entity::find().filter(grant::Column::AppId.eq(app.to_string()));
        Ok(query.count(self.read()).await?)
    }

    /// The grants of a user, the oldest first.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Nonsense`.
    pub async fn granted_apps(&self, user: UserId) -> Result<Vec<GrantedApp>, StoreError> {
        let rows = HolderRow::of_users(&[user], self.read()).await?;
        rows.into_iter().filter_map(|row| row.grant).map(GrantRow::granted_app).collect()
    }

    /// The grant of a user for an Application.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Nonsense`.
    pub async fn grant(&self, user: UserId, app: AppId) -> Result<Option<Grant>, StoreError> {
        let row = grant::Entity::find()
            .filter(grant::Column::AppId.eq(app.to_string()))
            .filter(grant::Column::UserId.eq(user.0))
            .one(self.read())
            .await?;
        row.as_ref().map(Grant::try_from).transpose()
    }
}

impl HolderRow {
    /// These users, at most `CHUNK`, each with all grants, the oldest first.
    pub(crate) async fn of_users<C: ConnectionTrait>(
        users: &[UserId],
        db: &C,
    ) -> Result<Vec<Self>, StoreError> {
        let query = Self::query()
            .filter(user::Column::Id.is_in(padded(users.iter().map(|user| user.0))))
            .order_by_asc(grant::Column::GrantedAt)
            .order_by_asc(grant::Column::Puid);
        Ok(query.into_model().all(db).await?)
    }

    fn query() -> Select<user::Entity> {
        user::Entity::find()
            .join(JoinType::LeftJoin, grant::Relation::User.def().rev())
            .join(JoinType::LeftJoin, grant::Relation::App.def())
            .select_only()
            .columns([user::Column::Id, user::Column::Revision])
            .columns([
                grant::Column::Puid,
                grant::Column::AppId,
                grant::Column::Paused,
                grant::Column::GrantedAt,
            ])
            .columns([
                app::Column::Name,
                app::Column::Domain,
                app::Column::State,
                app::Column::LastLookedAt,
                app::Column::BlockedAt,
            ])
    }

    pub(crate) fn user(&self) -> UserId {
        UserId(self.id)
    }
}

impl GrantRow {
    pub(crate) fn app_name(&self) -> &str {
        &self.name
    }

    pub(crate) fn app_state(&self) -> Result<ApplicationState, StoreError> {
        app_state(&self.state, self.blocked_at)
    }

    pub(crate) fn grant(&self) -> Result<Grant, StoreError> {
        Ok(Grant {
            app: id("grants", &self.app_id)?,
            puid: id("grants", &self.puid)?,
            paused: self.paused,
            granted_at: millis("grants", self.granted_at)?,
        })
    }

    fn granted_app(self) -> Result<GrantedApp, StoreError> {
        Ok(GrantedApp {
            grant: self.grant()?,
            state: self.app_state()?,
            name: self.name,
            domain: self.domain,
            last_looked_at: self.last_looked_at.map(|at| millis("apps", at)).transpose()?,
        })
    }
}

fn puids_of(app: AppId) -> Select<grant::Entity> {
    grant::Entity::find()
        .select_only()
        .column(grant::Column::Puid)
        .filter(grant::Column::AppId.eq(app.to_string()))
}

/// Reads the grants of a user, and the states of their Applications.
pub(crate) async fn read_grant_set<C: ConnectionTrait>(
    user: UserId,
    db: &C,
) -> Result<(GrantSet, Vec<(AppId, ApplicationState)>), StoreError> {
    let (mut set, mut apps) = (GrantSet::default(), Vec::new());
    for row in HolderRow::of_users(&[user], db).await? {
        set.revision = row.revision;
        let Some(row) = row.grant else { continue };
        let grant = row.grant()?;
        apps.push((grant.app, row.app_state()?));
        set.grants.push(grant);
    }
    Ok((set, apps))
}

async fn read_puids<C: ConnectionTrait>(
    query: Select<grant::Entity>,
    db: &C,
) -> Result<Vec<Puid>, StoreError> {
    let names: Vec<String> = query.into_tuple().all(db).await?;
    names.iter().map(|name| id("grants", name)).collect()
}
