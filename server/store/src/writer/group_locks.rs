//! The locks that a group takes on PostgreSQL before its first read, in the order of
//! [`crate::row_lock`].

use presence_protocol::Puid;
use sea_orm::sea_query::LockType;
use sea_orm::{DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::write_op::WriteOp;
use crate::error::StoreError;
use crate::rows::{CHUNK, is_one_of};
use crate::tables::grant;

/// Locks the grants that the notifications of a group are for, in the order of their numbers, so
/// that no queue grows meanwhile. What is read of them afterwards stays true until the commit.
pub(super) async fn lock_grants(
    transaction: &DatabaseTransaction,
    ops: &[WriteOp],
) -> Result<(), StoreError> {
    let mut puids: Vec<Puid> = ops.iter().flat_map(WriteOp::notified).collect();
    puids.sort_unstable();
    puids.dedup();
    let mut grants: Vec<i64> = Vec::with_capacity(puids.len());
    for chunk in puids.chunks(CHUNK) {
        let query = grant::Entity::find()
            .select_only()
            .column(grant::Column::Id)
            .filter(is_one_of(grant::Column::Puid, chunk.iter().map(Puid::to_string)));
        grants.extend(query.into_tuple::<i64>().all(transaction).await?);
    }
    grants.sort_unstable();
    for chunk in grants.chunks(CHUNK) {
        let query = grant::Entity::find()
            .select_only()
            .column(grant::Column::Id)
            .filter(is_one_of(grant::Column::Id, chunk.iter().copied()))
            .order_by_asc(grant::Column::Id)
            .lock(LockType::NoKeyUpdate);
        query.into_tuple::<i64>().all(transaction).await?;
    }
    Ok(())
}
