//! Changes of grants. Each increases the revision of the user's grants.

use presence_core::UnixMillis;
use presence_core::model::{App, Grant, Notification, UserId};
use presence_protocol::app::ReceiptState;
use presence_protocol::{AppId, Puid};
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder};

use super::write_txn::WriteTxn;
use crate::commit_hook::CommittedEvent;
use crate::error::StoreError;
use crate::grants::read_grant_set;
use crate::pending::is_pending;
use crate::rows::{NotificationHeaderRow, NotificationRow, Sender, notification, time_to_column};
use crate::tables::{app, grant, notification, user};

/// The result of a request for a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrantOutcome {
    /// The PUID of the grant.
    pub puid: Puid,
    /// Set if it was created.
    pub new: bool,
}

/// The reason why there is no grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// There is no such Application or user.
    #[error("no such application or user")]
    Unknown,
    /// The user has the maximum number of grants, also paused ones.
    #[error("the user has too many grants")]
    TooMany,
}

/// A request for a grant.
pub(super) struct GrantInput {
    pub(super) user: UserId,
    pub(super) app: AppId,
    /// The domain of the Application that the user was shown.
    pub(super) domain: String,
    pub(super) puid: Puid,
    pub(super) now: UnixMillis,
    /// The maximum number of grants of a user.
    pub(super) limit: u64,
}

/// A request to pause or resume a grant.
pub(super) struct PauseInput {
    pub(super) user: UserId,
    pub(super) app: AppId,
    pub(super) paused: bool,
}

/// Creates a grant. An existing one stays as it is, except that it is from now on for the domain
/// that the Application has. Returns `None` also if the Application has another domain meanwhile.
pub(super) async fn grant(
    txn: &mut WriteTxn<'_>,
    input: &GrantInput,
) -> Result<Result<GrantOutcome, GrantError>, StoreError> {
    let GrantInput { user, app, puid, now, limit, .. } = *input;
    let known_app = app::Entity::find_by_id(app.to_string()).one(txn.db).await?;
    let known_app = known_app.is_some_and(|app| app.domain == input.domain);
    if known_app && let Some(grant) = find(txn, user, app).await? {
        if grant.waiting {
            stop_waiting(txn, user, grant, &input.domain).await?;
        }
        return Ok(Ok(GrantOutcome { puid: grant.puid, new: false }));
    }
    let known_user = user::Entity::find_by_id(user.0).one(txn.db).await?.is_some();
    if !known_app || !known_user {
        return Ok(Err(GrantError::Unknown));
    }
    let of_user = grant::Entity::find().filter(grant::Column::UserId.eq(user.0));
    if of_user.count(txn.db).await? >= limit {
        return Ok(Err(GrantError::TooMany));
    }
    grant::Entity::insert(grant::ActiveModel {
        id: ActiveValue::NotSet,
        puid: ActiveValue::Set(puid.to_string()),
        app_id: ActiveValue::Set(app.to_string()),
        user_id: ActiveValue::Set(user.0),
        paused: ActiveValue::Set(false),
        granted_at: ActiveValue::Set(time_to_column(now)),
        domain: ActiveValue::Set(input.domain.clone()),
        waiting_since: ActiveValue::Set(None),
    })
    .exec_without_returning(txn.db)
    .await?;
    record_change(txn, user, Vec::new(), Vec::new()).await?;
    Ok(Ok(GrantOutcome { puid, new: true }))
}

/// Lets a grant be for the new domain of its Application. Its queue is delivered.
async fn stop_waiting(
    txn: &mut WriteTxn<'_>,
    user: UserId,
    grant: Grant,
    domain: &str,
) -> Result<(), StoreError> {
    grant::Entity::update_many()
        .col_expr(grant::Column::Domain, domain.into())
        .col_expr(grant::Column::WaitingSince, Expr::value(None::<i64>))
        .filter(grant::Column::Puid.eq(grant.puid.to_string()))
        .exec(txn.db)
        .await?;
    txn.targets.forget(&grant.puid);
    let grant = Grant { waiting: false, ..grant };
    if !grant.is_suspended() {
        record_suspension(txn, &grant).await?;
    }
    let resumed = pending(txn, &grant).await?;
    record_change(txn, user, resumed, Vec::new()).await
}

/// Records for the hub whether a grant is suspended from now on.
async fn record_suspension(txn: &mut WriteTxn<'_>, grant: &Grant) -> Result<(), StoreError> {
    let Some(row) = app::Entity::find_by_id(grant.app.to_string()).one(txn.db).await? else {
        return Ok(());
    };
    let App { id: app, state, last_looked_at: last_check, .. } = App::try_from(row)?;
    let (puid, suspended) = (grant.puid, grant.is_suspended());
    txn.events.push(CommittedEvent::Suspension { app, state, puid, suspended, last_check });
    Ok(())
}

/// Pauses or resumes a grant. The queue of a resumed grant is delivered.
pub(super) async fn pause(
    txn: &mut WriteTxn<'_>,
    input: &PauseInput,
) -> Result<Option<Grant>, StoreError> {
    let PauseInput { user, app, paused } = *input;
    let Some(mut grant) = find(txn, user, app).await? else { return Ok(None) };
    if grant.paused == paused {
        return Ok(Some(grant));
    }
    grant::Entity::update_many()
        .col_expr(grant::Column::Paused, paused.into())
        .filter(grant::Column::Puid.eq(grant.puid.to_string()))
        .exec(txn.db)
        .await?;
    let was_suspended = grant.is_suspended();
    grant.paused = paused;
    txn.targets.forget(&grant.puid);
    if grant.is_suspended() != was_suspended {
        record_suspension(txn, &grant).await?;
    }
    let resumed = pending(txn, &grant).await?;
    record_change(txn, user, resumed, Vec::new()).await?;
    Ok(Some(grant))
}

/// Ends a grant, and deletes its queue with receipts.
pub(super) async fn revoke(
    txn: &mut WriteTxn<'_>,
    user: UserId,
    app: AppId,
) -> Result<Option<Grant>, StoreError> {
    let Some(grant) = find(txn, user, app).await? else { return Ok(None) };
    let of_grant = grant::Column::Puid.eq(grant.puid.to_string());
    for header in txn.headers(NotificationHeaderRow::find().filter(of_grant.clone())).await? {
        txn.record_receipt(&header, header.state.ended().unwrap_or(ReceiptState::Revoked));
    }
    grant::Entity::delete_many().filter(of_grant).exec(txn.db).await?;
    txn.targets.forget(&grant.puid);
    record_change(txn, user, Vec::new(), vec![(app, grant.puid)]).await?;
    Ok(Some(grant))
}

async fn find(txn: &WriteTxn<'_>, user: UserId, app: AppId) -> Result<Option<Grant>, StoreError> {
    let row = grant::Entity::find()
        .filter(grant::Column::AppId.eq(app.to_string()))
        .filter(grant::Column::UserId.eq(user.0))
        .one(txn.db)
        .await?;
    row.as_ref().map(Grant::try_from).transpose()
}

async fn record_change(
    txn: &mut WriteTxn<'_>,
    user: UserId,
    resumed: Vec<Notification>,
    ended: Vec<(AppId, Puid)>,
) -> Result<(), StoreError> {
    txn.bump_revisions(&[user]).await?;
    let (set, apps) = read_grant_set(user, txn.db).await?;
    txn.events.push(CommittedEvent::Grants { user, set, apps, resumed, ended });
    Ok(())
}

/// Returns the notifications of a grant that can be delivered now.
pub(super) async fn pending(
    txn: &WriteTxn<'_>,
    grant: &Grant,
) -> Result<Vec<Notification>, StoreError> {
    if grant.is_suspended() {
        return Ok(Vec::new());
    }
    let Some(app) = app::Entity::find_by_id(grant.app.to_string()).one(txn.db).await? else {
        return Ok(Vec::new());
    };
    let app = App::try_from(app)?;
    let (name, domain) = (app.displayed_name(txn.now).into(), app.domain.as_str().into());
    let sender = Sender { name, domain };
    let rows: Vec<NotificationRow> = NotificationRow::find()
        .filter(grant::Column::Puid.eq(grant.puid.to_string()))
        .filter(is_pending(txn.now))
        .filter(notification::Column::LiveOnly.eq(false))
        .order_by_asc(notification::Column::Seq)
        .into_model()
        .all(txn.db)
        .await?;
    rows.into_iter().map(|row| notification(row, &sender)).collect()
}
