//! Changes of grants: given, paused, resumed, revoked. Each raises the revision of the user's set.

use std::sync::Arc;

use presence_core::UnixMillis;
use presence_core::model::{Grant, Notification, UserId};
use presence_protocol::app::ReceiptState;
use presence_protocol::{AppId, Puid};
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use super::commit_hook::CommittedEvent;
use super::write_txn::WriteTxn;
use crate::error::StoreError;
use crate::rows::{
    NotificationHeaderRow, NotificationRow, NotificationState, notification, time_to_column,
};
use crate::tables::{app, grant, notification, user};

/// A grant that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrantOutcome {
    /// The PUID of the grant.
    pub puid: Puid,
    /// Whether there was none before.
    pub new: bool,
}

/// A user lets an Application see them.
pub(super) struct GrantQuestion {
    pub(super) user: UserId,
    pub(super) app: AppId,
    pub(super) puid: Puid,
    pub(super) now: UnixMillis,
}

/// A user pauses or resumes.
pub(super) struct PauseQuestion {
    pub(super) user: UserId,
    pub(super) app: AppId,
    pub(super) paused: bool,
}

/// A grant that is there stays as it is.
pub(super) async fn grant(
    round: &mut WriteTxn<'_>,
    question: &GrantQuestion,
) -> Result<Option<GrantOutcome>, StoreError> {
    let GrantQuestion { user, app, puid, now } = *question;
    if let Some(grant) = find(round, user, app).await? {
        return Ok(Some(GrantOutcome { puid: grant.puid, new: false }));
    }
    let known_app = app::Entity::find_by_id(app.to_string()).one(round.db).await?.is_some();
    let known_user = user::Entity::find_by_id(user.0).one(round.db).await?.is_some();
    if !known_app || !known_user {
        return Ok(None);
    }
    grant::Entity::insert(grant::ActiveModel {
        id: ActiveValue::NotSet,
        puid: ActiveValue::Set(puid.to_string()),
        app_id: ActiveValue::Set(app.to_string()),
        user_id: ActiveValue::Set(user.0),
        paused: ActiveValue::Set(false),
        granted_at: ActiveValue::Set(time_to_column(now)),
    })
    .exec_without_returning(round.db)
    .await?;
    note_change(round, user, Vec::new(), Vec::new()).await?;
    Ok(Some(GrantOutcome { puid, new: true }))
}

/// Pauses or resumes. What waited for a resumed grant is handed out.
pub(super) async fn pause(
    round: &mut WriteTxn<'_>,
    question: &PauseQuestion,
) -> Result<Option<Grant>, StoreError> {
    let PauseQuestion { user, app, paused } = *question;
    let Some(mut grant) = find(round, user, app).await? else { return Ok(None) };
    if grant.paused == paused {
        return Ok(Some(grant));
    }
    grant::Entity::update_many()
        .col_expr(grant::Column::Paused, paused.into())
        .filter(grant::Column::Puid.eq(grant.puid.to_string()))
        .exec(round.db)
        .await?;
    grant.paused = paused;
    round.targets.forget(&grant.puid);
    let resumed = if paused { Vec::new() } else { pending(round, &grant).await? };
    note_change(round, user, resumed, Vec::new()).await?;
    Ok(Some(grant))
}

/// Ends a grant. What waited goes with it, each with a receipt.
pub(super) async fn revoke(
    round: &mut WriteTxn<'_>,
    user: UserId,
    app: AppId,
) -> Result<Option<Grant>, StoreError> {
    let Some(grant) = find(round, user, app).await? else { return Ok(None) };
    let its_own = grant::Column::Puid.eq(grant.puid.to_string());
    for slip in round.slips(NotificationHeaderRow::find().filter(its_own.clone())).await? {
        round.note_receipt(&slip, ReceiptState::Revoked);
    }
    grant::Entity::delete_many().filter(its_own).exec(round.db).await?;
    round.targets.forget(&grant.puid);
    note_change(round, user, Vec::new(), vec![(app, grant.puid)]).await?;
    Ok(Some(grant))
}

async fn find(round: &WriteTxn<'_>, user: UserId, app: AppId) -> Result<Option<Grant>, StoreError> {
    let row = grant::Entity::find()
        .filter(grant::Column::AppId.eq(app.to_string()))
        .filter(grant::Column::UserId.eq(user.0))
        .one(round.db)
        .await?;
    row.as_ref().map(Grant::try_from).transpose()
}

async fn note_change(
    round: &mut WriteTxn<'_>,
    user: UserId,
    resumed: Vec<Notification>,
    ended: Vec<(AppId, Puid)>,
) -> Result<(), StoreError> {
    round.raise_revisions(&[user]).await?;
    let set = round.grant_set(user).await?;
    round.done.push(CommittedEvent::Grants { user, set, resumed, ended });
    Ok(())
}

async fn pending(round: &WriteTxn<'_>, grant: &Grant) -> Result<Vec<Notification>, StoreError> {
    let Some(app) = app::Entity::find_by_id(grant.app.to_string()).one(round.db).await? else {
        return Ok(Vec::new());
    };
    let source: Arc<str> = app.name.into();
    let rows: Vec<NotificationRow> = NotificationRow::find()
        .filter(grant::Column::Puid.eq(grant.puid.to_string()))
        .filter(notification::Column::State.eq(NotificationState::PENDING))
        .filter(notification::Column::LiveOnly.eq(false))
        .filter(notification::Column::ExpiresAt.gt(time_to_column(round.now)))
        .order_by_asc(notification::Column::Seq)
        .into_model()
        .all(round.db)
        .await?;
    rows.into_iter().map(|row| notification(row, Arc::clone(&source))).collect()
}
