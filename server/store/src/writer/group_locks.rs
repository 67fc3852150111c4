//! The locks that a group takes on PostgreSQL before its first read, in the order of
//! [`crate::row_lock`].

use std::collections::HashSet;

use presence_core::model::UserId;
use presence_protocol::Puid;
use sea_orm::sea_query::LockType;
use sea_orm::{DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::write_op::{EndedGrants, WriteOp};
use crate::error::StoreError;
use crate::rows::{CHUNK, id, is_one_of};
use crate::tables::grant;

/// Locks the grants that the notifications of a group are for, and those that it ends, in the order
/// of their numbers, so that no queue grows meanwhile. What is read of them afterwards stays true
/// until the commit. Without the lock of one that ends, a notification that another server accepts
/// meanwhile would be deleted with it, and have no receipt.
pub(super) async fn lock_grants(
    transaction: &DatabaseTransaction,
    ops: &[WriteOp],
) -> Result<(), StoreError> {
    let mut puids: Vec<Puid> = ops.iter().flat_map(WriteOp::notified).collect();
    puids.sort_unstable();
    puids.dedup();
    let mut grants = of_puids(transaction, &puids).await?;
    let ended: HashSet<EndedGrants> = ops.iter().flat_map(WriteOp::ended_grants).collect();
    grants.extend(of_users(transaction, &ended).await?);
    grants.sort_unstable();
    grants.dedup();
    // No notification is accepted for a grant that ends, whichever key of the grant it refers to.
    let lock = if ended.is_empty() { LockType::NoKeyUpdate } else { LockType::Update };
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

/// Returns the numbers of the grants that end. Their users are locked already.
async fn of_users(
    transaction: &DatabaseTransaction,
    ended: &HashSet<EndedGrants>,
) -> Result<Vec<i64>, StoreError> {
    let user = |ended: &EndedGrants| match ended {
        EndedGrants::One(user, _) | EndedGrants::All(user) => user.0,
    };
    let mut users: Vec<i64> = ended.iter().map(user).collect();
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
            if ended.contains(&EndedGrants::All(user))
                || ended.contains(&EndedGrants::One(user, app))
            {
                grants.push(number);
            }
        }
    }
    Ok(grants)
}
