//! Reads of grants. The writer changes them.

use std::collections::HashMap;

use presence_core::UnixMillis;
use presence_core::model::{
    ApplicationState, Grant, GrantSet, PreviousName, UserId, displayed_name,
};
use presence_protocol::{AppId, Puid};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, JoinType, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait, RelationTrait, Select, Value,
};

use crate::credential_cache::FoundGrant;
use crate::error::StoreError;
use crate::rows::{
    CHUNK, Sender, app_state, id, is_one_of, padded, previous_name, time_from_column,
};
use crate::statement_texts::StatementTexts;
use crate::store::Store;
use crate::tables::{app, grant, notification, user};

/// A grant with the details of its Application that users see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedApp {
    /// The grant.
    pub grant: Grant,
    /// The name of the Application.
    pub name: String,
    /// The name before the last change.
    pub previous_name: Option<PreviousName>,
    /// The domain of the Application.
    pub domain: String,
    /// The domain that the Application had when the user gave the grant.
    pub granted_domain: String,
    /// The state of the Application.
    pub state: ApplicationState,
    /// The last time at which the Application read presence, to the minute.
    pub last_looked_at: Option<UnixMillis>,
}

/// A user with one of the user's grants, or with none.
#[derive(FromQueryResult)]
pub(crate) struct UserGrantRow {
    id: i64,
    pub(crate) revision: i64,
    #[sea_orm(nested)]
    pub(crate) grant: Option<GrantRow>,
}

/// A grant with a part of its Application.
#[derive(FromQueryResult)]
pub(crate) struct GrantRow {
    puid: String,
    app_id: String,
    paused: bool,
    granted_at: i64,
    granted_domain: String,
    waiting_since: Option<i64>,
    name: String,
    domain: String,
    state: String,
    last_looked_at: Option<i64>,
    blocked_at: Option<i64>,
    previous_name: Option<String>,
    renamed_at: Option<i64>,
}

impl GrantedApp {
    /// Returns the name that users see.
    pub fn displayed_name(&self, now: UnixMillis) -> String {
        displayed_name(&self.name, self.previous_name.as_ref(), now)
    }
}

impl Store {
    /// Returns those of the PUIDs that are live grants of an Application, also paused ones, in any
    /// order. A server that is alone caches what it has found.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn live_puids(&self, app: AppId, puids: &[Puid]) -> Result<Vec<Puid>, StoreError> {
        let cache = self.credentials();
        let (mut live, unknown): (Vec<Puid>, Vec<Puid>) =
            puids.iter().partition(|puid| cache.has_grant(app, **puid));
        for chunk in unknown.chunks(CHUNK) {
            let mark = cache.mark();
            let query = puids_of(app)
                .column(grant::Column::UserId)
                .filter(is_one_of(grant::Column::Puid, chunk.iter().map(Puid::to_string)));
            let rows: Vec<(String, i64)> = query.into_tuple().all(self.read()).await?;
            let found = |(puid, user): &(String, i64)| {
                Ok(FoundGrant { puid: id("grants", puid)?, user: UserId(*user) })
            };
            let found: Vec<FoundGrant> =
                rows.iter().map(found).collect::<Result<_, StoreError>>()?;
            cache.add_grants(app, &found, mark);
            live.extend(found.iter().map(|grant| grant.puid));
        }
        Ok(live)
    }

    /// Returns the live PUIDs of an Application after `after` in ascending order, also paused ones.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
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

    /// Returns the number of grants of an Application, also paused ones.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn count_grants_of(&self, app: AppId) -> Result<u64, StoreError> {
        let query = grant::Entity::find().filter(grant::Column::AppId.eq(app.to_string()));
        Ok(query.count(self.read()).await?)
    }

    /// Returns the grants of a user, the oldest first.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn granted_apps(&self, user: UserId) -> Result<Vec<GrantedApp>, StoreError> {
        let rows = UserGrantRow::of_users(&[user], self.read()).await?;
        rows.into_iter().filter_map(|row| row.grant).map(GrantRow::granted_app).collect()
    }

    /// Returns all grants of each of these users who exist.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn grant_sets(
        &self,
        users: &[UserId],
    ) -> Result<HashMap<UserId, GrantSet>, StoreError> {
        let mut sets = HashMap::with_capacity(users.len());
        for chunk in users.chunks(CHUNK) {
            let found = read_grant_sets(chunk, self.read()).await?;
            sets.extend(found.into_iter().map(|of_user| (of_user.user, of_user.set)));
        }
        Ok(sets)
    }

    /// Returns the grant of a user for an Application.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn grant(&self, user: UserId, app: AppId) -> Result<Option<Grant>, StoreError> {
        let row = grant::Entity::find()
            .filter(grant::Column::AppId.eq(app.to_string()))
            .filter(grant::Column::UserId.eq(user.0))
            .one(self.read())
            .await?;
        row.as_ref().map(Grant::try_from).transpose()
    }
}

impl UserGrantRow {
    /// Returns the users with all their grants, the oldest first. Takes at most [`CHUNK`] users.
    pub(crate) async fn of_users<C: ConnectionTrait>(
        users: &[UserId],
        db: &C,
    ) -> Result<Vec<Self>, StoreError> {
        Ok(Self::query_of(users.iter().map(|user| user.0)).into_model().all(db).await?)
    }

    /// Returns the query of these users, by their numbers.
    fn query_of(users: impl IntoIterator<Item = i64>) -> Select<user::Entity> {
        Self::query()
            .filter(is_one_of(user::Column::Id, users))
            .order_by_asc(grant::Column::GrantedAt)
            .order_by_asc(grant::Column::Puid)
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
                grant::Column::WaitingSince,
            ])
            .column_as(grant::Column::Domain, "granted_domain")
            .columns([
                app::Column::Name,
                app::Column::Domain,
                app::Column::State,
                app::Column::LastLookedAt,
                app::Column::BlockedAt,
                app::Column::PreviousName,
                app::Column::RenamedAt,
            ])
    }

    pub(crate) fn user(&self) -> UserId {
        UserId(self.id)
    }
}

/// A user with one of the user's grants, as a device that connects needs them.
#[derive(FromQueryResult)]
pub(crate) struct ConnectingUserRow {
    #[sea_orm(nested)]
    pub(crate) of_user: UserGrantRow,
    /// Set if notifications of the grant have a row.
    pub(crate) has_rows: bool,
}

impl ConnectingUserRow {
    /// Returns the users with all their grants, the oldest first. Takes at most [`CHUNK`] users.
    pub(crate) async fn of_users<C: ConnectionTrait>(
        users: &[UserId],
        db: &C,
    ) -> Result<Vec<Self>, StoreError> {
        static TEXTS: StatementTexts = StatementTexts::new();
        let (backend, users) = (db.get_database_backend(), padded(users.iter().map(|it| it.0)));
        let values = users.iter().copied().map(Value::from).collect();
        let build = || {
            let rows = Query::select()
                .column(notification::Column::GrantId)
                .from(notification::Entity)
                .and_where(
                    Expr::col((notification::Entity, notification::Column::GrantId))
                        .equals((grant::Entity, grant::Column::Id)),
                )
                .take();
            let query = UserGrantRow::query_of(users.iter().copied());
            query.expr_as(Expr::exists(rows), "has_rows").build(backend)
        };
        let statement = TEXTS.statement((users.len(), values), backend, build);
        Ok(Self::find_by_statement(statement).all(db).await?)
    }
}

impl GrantRow {
    /// Returns the Application as the devices of the user see it.
    pub(crate) fn sender(&self, now: UnixMillis) -> Result<Sender, StoreError> {
        let previous = previous_name(self.previous_name.clone(), self.renamed_at)?;
        let name = displayed_name(&self.name, previous.as_ref(), now);
        Ok(Sender { name: name.into(), domain: self.domain.as_str().into() })
    }

    pub(crate) fn app_state(&self) -> Result<ApplicationState, StoreError> {
        app_state(&self.state, self.blocked_at)
    }

    pub(crate) fn grant(&self) -> Result<Grant, StoreError> {
        Ok(Grant {
            app: id("grants", &self.app_id)?,
            puid: id("grants", &self.puid)?,
            paused: self.paused,
            waiting: self.waiting_since.is_some(),
            granted_at: time_from_column("grants", self.granted_at)?,
        })
    }

    fn granted_app(self) -> Result<GrantedApp, StoreError> {
        Ok(GrantedApp {
            grant: self.grant()?,
            state: self.app_state()?,
            name: self.name,
            previous_name: previous_name(self.previous_name, self.renamed_at)?,
            domain: self.domain,
            granted_domain: self.granted_domain,
            last_looked_at: self
                .last_looked_at
                .map(|at| time_from_column("apps", at))
                .transpose()?,
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
    let mut sets = read_grant_sets(&[user], db).await?;
    Ok(sets.pop().map(|user| (user.set, user.apps)).unwrap_or_default())
}

/// The grants of a user, and the states of their Applications.
pub(crate) struct UserGrants {
    pub(crate) user: UserId,
    pub(crate) set: GrantSet,
    pub(crate) apps: Vec<(AppId, ApplicationState)>,
}

/// Reads the grants of at most [`CHUNK`] users.
pub(crate) async fn read_grant_sets<C: ConnectionTrait>(
    users: &[UserId],
    db: &C,
) -> Result<Vec<UserGrants>, StoreError> {
    let mut sets: HashMap<UserId, UserGrants> = HashMap::with_capacity(users.len());
    for row in UserGrantRow::of_users(users, db).await? {
        let user = row.user();
        let found = sets.entry(user).or_insert_with(|| UserGrants {
            user,
            set: GrantSet::default(),
            apps: Vec::new(),
        });
        found.set.revision = row.revision;
        let Some(row) = row.grant else { continue };
        let grant = row.grant()?;
        found.apps.push((grant.app, row.app_state()?));
        found.set.grants.push(grant);
    }
    Ok(sets.into_values().collect())
}

async fn read_puids<C: ConnectionTrait>(
    query: Select<grant::Entity>,
    db: &C,
) -> Result<Vec<Puid>, StoreError> {
    let names: Vec<String> = query.into_tuple().all(db).await?;
    names.iter().map(|name| id("grants", name)).collect()
}
