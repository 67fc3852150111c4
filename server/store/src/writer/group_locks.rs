//! The locks that a group takes on PostgreSQL before its first read, in the order of
//! [`crate::row_lock`].

use std::collections::HashSet;

use presence_core::model::UserId;
use presence_protocol::{AppId, Puid};
use sea_orm::sea_query::LockType;
use sea_orm::{DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::remove::apps_of;
use super::write_op::{ChangedGrants, WriteOp};
use crate::error::StoreError;
use crate::rows::{CHUNK, id, is_one_of};
use crate::tables::{app, grant};

/// Locks the Applications of a group, in the order of their ids, so that none gets another grant
/// while it is changed or removed. Returns those that are, with all their grants.
pub(super) async fn lock_apps(
    transaction: &DatabaseTransaction,
    ops: &[WriteOp],
) -> Result<Vec<AppId>, StoreError> {
    let mut changed: Vec<AppId> = ops.iter().filter_map(WriteOp::changed_app).collect();
    for user in ops.iter().filter_map(WriteOp::erased_user) {
        changed.extend(apps_of(user, transaction).await?);
    }
    let granted = ops.iter().filter_map(WriteOp::granted_app);
    let mut apps: Vec<String> =
        changed.iter().copied().chain(granted).map(|app| app.to_string()).collect();
    apps.sort_unstable();
    apps.dedup();
    // A new grant refers to its Application, which locks the key of the Application.
    let lock = match (changed.is_empty(), ops.iter().any(WriteOp::ends_grants)) {
        (true, _) => LockType::KeyShare,
        (false, false) => LockType::NoKeyUpdate,
        (false, true) => LockType::Update,
    };
    for chunk in apps.chunks(CHUNK) {
        let query = app::Entity::find()
            .select_only()
            .column(app::Column::Id)
            .filter(is_one_of(app::Column::Id, chunk.iter().cloned()))
            .order_by_asc(app::Column::Id)
            .lock(lock);
        query.into_tuple::<String>().all(transaction).await?;
    }
    Ok(changed)
}

/// Locks the grants that the notifications of a group are for, and those that it changes or ends,
/// in the order of their numbers, so that no queue grows meanwhile. What is read of them afterwards
/// stays true until the commit. Without the lock of one that ends, a notification that another
/// server accepts meanwhile would be deleted with it, and have no receipt.
pub(super) async fn lock_grants(
    transaction: &DatabaseTransaction,
    ops: &[WriteOp],
    apps: &[AppId],
) -> Result<(), StoreError> {
    let mut puids: Vec<Puid> = ops.iter().flat_map(WriteOp::notified).collect();
    puids.sort_unstable();
    puids.dedup();
    let mut grants = of_puids(transaction, &puids).await?;
    let changed: HashSet<ChangedGrants> = ops.iter().flat_map(WriteOp::changed_grants).collect();
    grants.extend(of_users(transaction, &changed).await?);
    grants.extend(of_apps(transaction, apps).await?);
    grants.sort_unstable();
    grants.dedup();
    // No notification is accepted for a grant that ends, whichever key of the grant it refers to.
    let ends = ops.iter().any(WriteOp::ends_grants);
    let lock = if ends { LockType::Update } else { LockType::NoKeyUpdate };
    for chunk in grants.chunks(CHUNK) {
        let query = grant::Entity::find()
            .select_only()
            .column(grant::Column::Id)
            .filter(is_one_of(grant::Column::Id, chunk.iter().copied()))
            .order_by_asc(grant::Column::Id)
            .lock(lock);
        query.into_tuple::<i64>().all(transaction).await?;
    }
    Ok(())
}

/// Returns the numbers of the grants with these PUIDs.
async fn of_puids(
    transaction: &DatabaseTransaction,
    puids: &[Puid],
) -> Result<Vec<i64>, StoreError> {
    let mut grants: Vec<i64> = Vec::with_capacity(puids.len());
    for chunk in puids.chunks(CHUNK) {
        let query = grant::Entity::find()
            .select_only()
            .column(grant::Column::Id)
            .filter(is_one_of(grant::Column::Puid, chunk.iter().map(Puid::to_string)));
        grants.extend(query.into_tuple::<i64>().all(transaction).await?);
    }
    Ok(grants)
}

/// Returns the numbers of all grants of these Applications, which are locked already.
async fn of_apps(
    transaction: &DatabaseTransaction,
    apps: &[AppId],
) -> Result<Vec<i64>, StoreError> {
    let mut grants = Vec::new();
    for chunk in apps.chunks(CHUNK) {
        let query = grant::Entity::find()
            .select_only()
            .column(grant::Column::Id)
            .filter(is_one_of(grant::Column::AppId, chunk.iter().map(AppId::to_string)));
        grants.extend(query.into_tuple::<i64>().all(transaction).await?);
    }
    Ok(grants)
}

/// Returns the numbers of the grants of users that change or end. Their users are locked already.
async fn of_users(
    transaction: &DatabaseTransaction,
    changed: &HashSet<ChangedGrants>,
) -> Result<Vec<i64>, StoreError> {
    let mut users: Vec<i64> = changed.iter().map(|grants| grants.user().0).collect();
    users.sort_unstable();
    users.dedup();
    let mut grants = Vec::new();
    for chunk in users.chunks(CHUNK) {
        let query = grant::Entity::find()
            .select_only()
            .columns([grant::Column::Id, grant::Column::UserId])
            .column(grant::Column::AppId)
            .filter(is_one_of(grant::Column::UserId, chunk.iter().copied()));
        let rows: Vec<(i64, i64, String)> = query.into_tuple().all(transaction).await?;
        for (number, user, app) in rows {
            let (user, app) = (UserId(user), id("grants", &app)?);
            if changed.contains(&ChangedGrants::All(user))
                || changed.contains(&ChangedGrants::One(user, app))
            {
                grants.push(number);
            }
        }
    }
    Ok(grants)
}
