//! Applications. The writer removes them.

use presence_core::UnixMillis;
use presence_core::lookalike::skeletons;
use presence_core::model::{App, ApplicationState, UserId};
use presence_protocol::AppId;
use sea_orm::sea_query::{Expr, ExprTrait, Func, LikeExpr};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, Condition, DatabaseTransaction, EntityTrait,
    PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};

use crate::credential_cache::Owner;
use crate::error::StoreError;
use crate::row_lock::{lock_app, lock_user};
use crate::rows::time_to_column;
use crate::store::Store;
use crate::tables::{app, name_skeleton};

/// The changes of an Application. `None` leaves a value as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppChanges {
    /// The name.
    pub name: Option<String>,
    /// The description.
    pub description: Option<String>,
}

/// A new domain, which is not verified yet and gets a new key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDomain {
    /// The domain.
    pub domain: String,
    /// The key that the domain must serve.
    pub domain_key: String,
    /// The new state of the Application.
    pub state: ApplicationState,
}

impl Store {
    /// Adds an Application. Its id must be new, and its owner must exist. Returns false if the
    /// owner has `limit` Applications already.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn insert_app(&self, app: &App, limit: u64) -> Result<bool, StoreError> {
        let row = app::ActiveModel {
            id: ActiveValue::Set(app.id.to_string()),
            owner: ActiveValue::Set(app.owner.0),
            name: ActiveValue::Set(app.name.clone()),
            domain: ActiveValue::Set(app.domain.clone()),
            description: ActiveValue::Set(app.description.clone()),
            state: ActiveValue::Set(app.state.name().to_owned()),
            domain_key: ActiveValue::Set(app.domain_key.clone()),
            created_at: ActiveValue::Set(time_to_column(app.created_at)),
            last_looked_at: ActiveValue::Set(app.last_looked_at.map(time_to_column)),
            blocked_at: ActiveValue::Set(app.blocked_at.map(time_to_column)),
            previous_name: ActiveValue::Set(None),
            renamed_at: ActiveValue::Set(None),
            development: ActiveValue::Set(self.is_development()),
        };
        self.in_transaction(|| async {
            let transaction = self.begin_writing().await?;
            lock_user(&transaction, app.owner).await?;
            let of_owner = app::Entity::find().filter(app::Column::Owner.eq(app.owner.0));
            if of_owner.count(&transaction).await? >= limit {
                return Ok(false);
            }
            app::Entity::insert(row.clone()).exec_without_returning(&transaction).await?;
            set_skeletons(app.id, &app.name, &transaction).await?;
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Returns an Application.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn app(&self, app: AppId) -> Result<Option<App>, StoreError> {
        let row = app::Entity::find_by_id(app.to_string()).one(self.read()).await?;
        row.map(App::try_from).transpose()
    }

    /// Returns the Applications of an AppDeveloper, the oldest first.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn apps_of(&self, owner: UserId) -> Result<Vec<App>, StoreError> {
        let rows = app::Entity::find()
            .filter(app::Column::Owner.eq(owner.0))
            .order_by_asc(app::Column::CreatedAt)
            .order_by_asc(app::Column::Id)
            .all(self.read())
            .await?;
        rows.into_iter().map(App::try_from).collect()
    }

    /// Changes an Application, and returns the changed one. The name before a change is kept. The
    /// writer changes the domain.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn update_app(
        &self,
        app: AppId,
        changes: AppChanges,
        now: UnixMillis,
    ) -> Result<Option<App>, StoreError> {
        let _forgets = self.credentials().forget_after(Owner::App(app));
        self.in_transaction(|| self.write_changes(app, &changes, now)).await?;
        self.app(app).await
    }

    async fn write_changes(
        &self,
        app: AppId,
        changes: &AppChanges,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let txn = self.begin_writing().await?;
        lock_app(&txn, app).await?;
        let Some(before) = app::Entity::find_by_id(app.to_string()).one(&txn).await? else {
            return Ok(());
        };
        let before = App::try_from(before)?;
        let mut row = <app::ActiveModel as Default>::default();
        if let Some(name) = changes.name.as_ref().filter(|name| **name != before.name) {
            set_skeletons(app, name, &txn).await?;
            let previous = name_to_keep(&before, name, now);
            row.previous_name = ActiveValue::Set(previous.map(str::to_owned));
            row.renamed_at = ActiveValue::Set(previous.map(|_| time_to_column(now)));
            row.name = ActiveValue::Set(name.clone());
        }
        set_if_some(&mut row.description, changes.description.clone());
        if row.is_changed() {
            let update = app::Entity::update_many().set(row);
            update.filter(app::Column::Id.eq(app.to_string())).exec(&txn).await?;
        }
        Ok(txn.commit().await?)
    }

    /// Sets the state. Returns false if there is no such Application.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn set_app_state(
        &self,
        app: AppId,
        state: ApplicationState,
    ) -> Result<bool, StoreError> {
        self.change_state(app, (app::Column::State, state.name().into())).await
    }

    /// Sets or clears the time since which the operator blocks an Application. Returns false if
    /// there is no such Application.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn set_app_blocked(
        &self,
        app: AppId,
        since: Option<UnixMillis>,
    ) -> Result<bool, StoreError> {
        let since = Expr::value(since.map(time_to_column));
        self.change_state(app, (app::Column::BlockedAt, since)).await
    }

    /// Changes a column on which it depends whether an Application is active. Where several servers
    /// share presence, its stream is switched in the same transaction.
    async fn change_state(
        &self,
        app: AppId,
        (column, value): (app::Column, Expr),
    ) -> Result<bool, StoreError> {
        let _forgets = self.credentials().forget_after(Owner::App(app));
        let update = app::Entity::update_many()
            .col_expr(column, value)
            .filter(app::Column::Id.eq(app.to_string()));
        let Some(live) = self.live() else {
            return Ok(update.exec(self.write()).await?.rows_affected > 0);
        };
        let announcement = self
            .in_transaction(|| async {
                let txn = self.begin_writing().await?;
                lock_app(&txn, app).await?;
                update.clone().exec(&txn).await?;
                let changed = app::Entity::find_by_id(app.to_string()).one(&txn).await?;
                let Some(changed) = changed else { return Ok(None) };
                let is_active = App::try_from(changed)?.state == ApplicationState::Active;
                let announcement = live.switch(app, is_active, &txn).await?;
                txn.commit().await?;
                Ok(Some(announcement))
            })
            .await?;
        let Some(announcement) = announcement else { return Ok(false) };
        live.announce(announcement).await;
        Ok(true)
    }

    /// Returns the Applications with this id, or with this text in their name or domain. Ignores
    /// case. The newest come first.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn find_apps(&self, text: &str, limit: u64) -> Result<Vec<App>, StoreError> {
        let text = text.to_lowercase();
        let pattern = text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
        let contains = |column: app::Column| {
            let pattern = LikeExpr::new(format!("%{pattern}%")).escape('\\');
            Expr::expr(Func::lower(column.into_expr())).like(pattern)
        };
        let found = Condition::any()
            .add(app::Column::Id.eq(&*text))
            .add(contains(app::Column::Name))
            .add(contains(app::Column::Domain));
        let rows = app::Entity::find()
            .filter(found)
            .order_by_desc(app::Column::CreatedAt)
            .order_by_asc(app::Column::Id)
            .limit(limit)
            .all(self.read())
            .await?;
        rows.into_iter().map(App::try_from).collect()
    }

    /// Makes a registered Application verified if the key that its domain served is still the
    /// current one. Returns false otherwise.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn mark_verified(&self, app: AppId, domain_key: &str) -> Result<bool, StoreError> {
        let update = app::Entity::update_many()
            .col_expr(app::Column::State, ApplicationState::Verified.name().into())
            .col_expr(app::Column::Development, self.is_development().into())
            .filter(app::Column::Id.eq(app.to_string()))
            .filter(app::Column::DomainKey.eq(domain_key))
            .filter(app::Column::State.eq(ApplicationState::Registered.name()));
        Ok(update.exec(self.write()).await?.rows_affected > 0)
    }
}

/// Returns the name that users see beside a new one: the oldest that they still see, and none if
/// the Application gets that name back.
fn name_to_keep<'a>(before: &'a App, name: &str, now: UnixMillis) -> Option<&'a str> {
    let seen = before.previous_name.as_ref().filter(|previous| previous.is_displayed(now));
    let oldest = seen.map_or(&before.name, |previous| &previous.name);
    (oldest != name).then_some(oldest)
}

/// Replaces the skeletons of an Application's name.
async fn set_skeletons(
    app: AppId,
    name: &str,
    txn: &DatabaseTransaction,
) -> Result<(), StoreError> {
    name_skeleton::Entity::delete_many()
        .filter(name_skeleton::Column::AppId.eq(app.to_string()))
        .exec(txn)
        .await?;
    let rows = skeletons(name).into_iter().map(|skeleton| name_skeleton::ActiveModel {
        skeleton: ActiveValue::Set(skeleton),
        app_id: ActiveValue::Set(app.to_string()),
    });
    name_skeleton::Entity::insert_many(rows).exec_without_returning(txn).await?;
    Ok(())
}

fn set_if_some(column: &mut ActiveValue<String>, change: Option<String>) {
    if let Some(text) = change {
        *column = ActiveValue::Set(text);
    }
}
