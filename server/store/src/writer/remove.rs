//! What ends: Applications, users, notifications whose time has run out.

use presence_core::model::UserId;
use presence_protocol::app::ReceiptState;
use presence_protocol::{AppId, Puid};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::commit_hook::CommittedEvent;
use super::write_txn::WriteTxn;
use crate::error::StoreError;
use crate::rows::{CHUNK, NotificationHeaderRow, id, time_to_column};
use crate::tables::{app, grant, notification, user};

/// Removes an Application; its keys, grants and notifications go with it.
pub(super) async fn remove_app(round: &mut WriteTxn<'_>, app: AppId) -> Result<bool, StoreError> {
    let users: Vec<i64> = grant::Entity::find()
        .select_only()
        .column(grant::Column::UserId)
        .filter(grant::Column::AppId.eq(app.to_string()))
        .order_by_asc(grant::Column::UserId)
        .into_tuple()
        .all(round.db)
        .await?;
    let deleted = app::Entity::delete_by_id(app.to_string()).exec(round.db).await?;
    if deleted.rows_affected == 0 {
        return Ok(false);
    }
    round.targets.forget_all(|target| target.app == app);
    let users: Vec<UserId> = users.into_iter().map(UserId).collect();
    round.raise_revisions(&users).await?;
    round.done.push(CommittedEvent::AppRemoved(app, users));
    Ok(true)
}

/// Erases a user: first the user's Applications, then the queues and grants, then all else.
pub(super) async fn erase_user(round: &mut WriteTxn<'_>, user: UserId) -> Result<bool, StoreError> {
    if user::Entity::find_by_id(user.0).one(round.db).await?.is_none() {
        return Ok(false);
    }
    let apps = apps_of(round, user).await?;
    for app in &apps {
        remove_app(round, *app).await?;
    }
    let waiting = grant::Column::UserId.eq(user.0);
    for slip in round.slips(NotificationHeaderRow::find().filter(waiting)).await? {
        round.note_receipt(&slip, ReceiptState::Revoked);
    }
    let grants = round.grant_set(user).await?.grants;
    let ended: Vec<(AppId, Puid)> = grants.iter().map(|grant| (grant.app, grant.puid)).collect();
    user::Entity::delete_by_id(user.0).exec(round.db).await?;
    round.targets.forget_all(|target| target.user == user);
    round.done.push(CommittedEvent::UserErased(user, ended, apps));
    Ok(true)
}

/// Drops what has expired, the oldest first, at most `CHUNK`.
pub(super) async fn expire(round: &mut WriteTxn<'_>) -> Result<usize, StoreError> {
    let query = NotificationHeaderRow::find()
        .filter(notification::Column::ExpiresAt.lte(time_to_column(round.now)))
        .order_by_asc(notification::Column::ExpiresAt)
        .limit(u64::try_from(CHUNK).unwrap_or(u64::MAX));
    let slips = round.slips(query).await?;
    for slip in &slips {
        round.note_receipt(slip, ReceiptState::Expired);
    }
    round.delete_slips(&slips).await?;
    Ok(slips.len())
}

async fn apps_of(round: &WriteTxn<'_>, owner: UserId) -> Result<Vec<AppId>, StoreError> {
    let ids: Vec<String> = app::Entity::find()
        .select_only()
        .column(app::Column::Id)
        .filter(app::Column::Owner.eq(owner.0))
        .order_by_asc(app::Column::Id)
        .into_tuple()
        .all(round.db)
        .await?;
    ids.iter().map(|text| id("apps", text)).collect()
}
