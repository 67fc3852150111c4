//! The sequence numbers of notifications. No number is used twice.

use sea_orm::{ConnectionTrait, DbBackend, Statement};

use super::write_txn::WriteTxn;
use crate::error::StoreError;
use crate::row_lock::is_shared;

/// Returns the greatest number that was ever assigned, even if its notification was deleted.
pub(super) async fn greatest<C: ConnectionTrait>(db: &C) -> Result<i64, StoreError> {
    let backend = db.get_database_backend();
    let select = if backend == DbBackend::Postgres {
        "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM notifications_seq_seq"
    } else {
        "SELECT seq FROM sqlite_sequence WHERE name = 'notifications'"
    };
    let row = db.query_one_raw(Statement::from_string(backend, select)).await?;
    Ok(row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or(0))
}

/// Takes the next numbers, in ascending order. On PostgreSQL the sequence assigns them. They are
/// taken while the grants are locked, so that those of one queue are in the order of acceptance.
pub(super) async fn reserve(txn: &mut WriteTxn<'_>, count: usize) -> Result<Vec<i64>, StoreError> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    if !is_shared(txn.db) {
        let first = txn.last_seq + 1;
        txn.last_seq += count;
        return Ok((first..first + count).collect());
    }
    if count == 0 {
        return Ok(Vec::new());
    }
    let query = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT nextval('notifications_seq_seq') FROM generate_series(1, $1)",
        [count.into()],
    );
    let rows = txn.db.query_all_raw(query).await?;
    let seqs: Result<Vec<i64>, _> = rows.iter().map(|row| row.try_get_by_index(0)).collect();
    let mut seqs = seqs?;
    seqs.sort_unstable();
    txn.last_seq = seqs.last().copied().unwrap_or(txn.last_seq).max(txn.last_seq);
    Ok(seqs)
}
