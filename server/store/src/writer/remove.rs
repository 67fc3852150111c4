//! The removal of Applications, users and expired notifications.

use presence_core::model::UserId;
use presence_protocol::app::ReceiptState;
use presence_protocol::{AppId, Puid};
use sea_orm::sea_query::{Expr, LockType};
use sea_orm::{
    ColumnTrait, DatabaseTransaction, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect,
    RelationTrait,
};

use super::domain::users_of;
use super::write_txn::{WriteTxn, in_acceptance_order};
use crate::commit_hook::CommittedEvent;
use crate::error::StoreError;
use crate::grants::read_grant_set;
use crate::row_lock::is_shared;
use crate::rows::{CHUNK, NotificationHeaderRow, NotificationState, id, time_to_column};
use crate::tables::{app, grant, meta, notification, user};

/// Removes an Application with its keys, grants and notifications.
pub(super) async fn remove_app(txn: &mut WriteTxn<'_>, app: AppId) -> Result<bool, StoreError> {
    let users = users_of(app, txn.db).await?;
    lock_notifications(txn, app).await?;
    let deleted = app::Entity::delete_by_id(app.to_string()).exec(txn.db).await?;
    if deleted.rows_affected == 0 {
        return Ok(false);
    }
    txn.targets.forget_where(|target| target.app == app);
    txn.senders.forget(app);
    txn.bump_revisions(&users).await?;
    txn.events.push(CommittedEvent::AppRemoved(app, users));
    Ok(true)
}

/// Locks the notifications of an Application in the order in which others lock them: they are
/// deleted with it in no order.
async fn lock_notifications(txn: &WriteTxn<'_>, app: AppId) -> Result<(), StoreError> {
    if is_shared(txn.db) {
        let mut query = notification::Entity::find()
            .join(JoinType::InnerJoin, notification::Relation::Grant.def())
            .select_only()
            .column(notification::Column::Seq)
            .filter(grant::Column::AppId.eq(app.to_string()))
            .order_by_asc(in_acceptance_order(txn.db, notification::Entity));
        QuerySelect::query(&mut query).lock_with_tables(LockType::Update, [notification::Entity]);
        query.into_tuple::<i64>().all(txn.db).await?;
    }
    Ok(())
}

/// Erases a user: first the user's Applications, then the queues and grants, then everything else.
pub(super) async fn erase_user(txn: &mut WriteTxn<'_>, user: UserId) -> Result<bool, StoreError> {
    if user::Entity::find_by_id(user.0).one(txn.db).await?.is_none() {
        return Ok(false);
    }
    let apps = apps_of(user, txn.db).await?;
    for app in &apps {
        remove_app(txn, *app).await?;
    }
    let of_user = grant::Column::UserId.eq(user.0);
    for header in txn.headers(NotificationHeaderRow::find().filter(of_user)).await? {
        txn.record_receipt(&header, header.state.ended().unwrap_or(ReceiptState::Revoked));
    }
    let grants = read_grant_set(user, txn.db).await?.0.grants;
    let ended: Vec<(AppId, Puid)> = grants.iter().map(|grant| (grant.app, grant.puid)).collect();
    user::Entity::delete_by_id(user.0).exec(txn.db).await?;
    txn.targets.forget_where(|target| target.user == user);
    txn.events.push(CommittedEvent::UserErased(user, ended, apps));
    Ok(true)
}

/// Drops at most `CHUNK` expired notifications, the oldest first. With `writes_always`, something
/// is written even if none has expired.
pub(super) async fn expire(
    txn: &mut WriteTxn<'_>,
    writes_always: bool,
) -> Result<usize, StoreError> {
    if writes_always {
        let same = Expr::col(meta::Column::Epoch);
        meta::Entity::update_many().col_expr(meta::Column::Epoch, same).exec(txn.db).await?;
    }
    let query = NotificationHeaderRow::find()
        .filter(notification::Column::ExpiresAt.lte(time_to_column(txn.now)))
        .filter(notification::Column::State.lt(NotificationState::FIRST_ENDED))
        .order_by_asc(notification::Column::ExpiresAt)
        .limit(u64::try_from(CHUNK).unwrap_or(u64::MAX));
    let headers = txn.headers(query).await?;
    if !is_shared(txn.db) {
        for header in &headers {
            txn.record_receipt(header, ReceiptState::Expired);
        }
    }
    txn.end_headers(&headers, NotificationState::Expired).await?;
    Ok(headers.len())
}

/// Returns the Applications of an AppDeveloper, in the order of their ids.
pub(super) async fn apps_of(
    owner: UserId,
    txn: &DatabaseTransaction,
) -> Result<Vec<AppId>, StoreError> {
    let ids: Vec<String> = app::Entity::find()
        .select_only()
        .column(app::Column::Id)
        .filter(app::Column::Owner.eq(owner.0))
        .order_by_asc(app::Column::Id)
        .into_tuple()
        .all(txn)
        .await?;
    ids.iter().map(|text| id("apps", text)).collect()
}
