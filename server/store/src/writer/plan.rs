//! The writes of one run of `notify`: first all rows, then the evictions, then the idempotency
//! keys.

use std::collections::HashSet;
use std::time::Duration;

use presence_core::model::Notification;
use presence_protocol::NotificationId;
use presence_protocol::app::{QueuedNotification, Receipt, ReceiptState};
use presence_protocol::limits::{IDEMPOTENCY_KEY_SECONDS, MAX_QUEUE_ITEMS};
use sea_orm::sea_query::{
    Alias, CommonTableExpression, Expr, ExprTrait, OnConflict, Order, Query, SubQueryStatement,
};
use sea_orm::{
    ActiveValue, ColumnTrait, ConnectionTrait, EntityTrait, JoinType, QueryFilter, QuerySelect,
};

use super::insertion::{MAX_ROWS, NewRow, insertion};
use super::sequence;
use super::write_txn::{WriteTxn, in_acceptance_order};
use crate::commit_hook::CommittedEvent;
use crate::error::StoreError;
use crate::row_lock::is_shared;
use crate::rows::{
    CHUNK, NotificationHeader, NotificationHeaderRow, NotificationState, is_one_of, time_to_column,
};
use crate::tables::{grant, idempotency, notification};

/// The outcome of an accepted notification.
pub(super) enum Outcome {
    /// It is queued. The flag is set if its grant is suspended.
    Queued(NewRow, bool),
    /// It was live-only, and no device can get it now.
    Dropped(NewRow),
}

/// The reply to the first request with an idempotency key.
#[derive(Clone)]
pub(super) struct IdempotentReply {
    pub(super) body_digest: [u8; 32],
    pub(super) queued: QueuedNotification,
}

/// The writes, in order.
#[derive(Default)]
pub(super) struct WritePlan {
    outcomes: Vec<Outcome>,
    keys: Vec<(i64, String, IdempotentReply)>,
}

impl WritePlan {
    pub(super) fn add(&mut self, outcome: Outcome) {
        self.outcomes.push(outcome);
    }

    pub(super) fn add_reply(&mut self, (grant, key): &(i64, String), reply: IdempotentReply) {
        self.keys.push((*grant, key.clone(), reply));
    }

    /// Writes everything. `over_limit` are the grants with more rows than a queue may have.
    pub(super) async fn write(
        mut self,
        txn: &mut WriteTxn<'_>,
        over_limit: Vec<i64>,
    ) -> Result<(), StoreError> {
        self.insert(txn).await?;
        let evicted = evict(txn, &over_limit).await?;
        insert_keys(txn, self.keys).await?;
        let evicted_ids: HashSet<NotificationId> = evicted.iter().map(|header| header.id).collect();
        for outcome in self.outcomes {
            match outcome {
                Outcome::Queued(NewRow { notification, .. }, suspended) => {
                    if !suspended && !evicted_ids.contains(&notification.id) {
                        txn.events.push(CommittedEvent::Queued(notification));
                    }
                }
                Outcome::Dropped(NewRow { notification, .. }) if !is_shared(txn.db) => {
                    let Notification { app, id, puid: uid, .. } = notification;
                    let state = ReceiptState::Dropped;
                    txn.events.push(CommittedEvent::Receipt(app, Receipt { id, uid, state }));
                }
                // The row waits for its receipt.
                Outcome::Dropped(_) => {}
            }
        }
        if !is_shared(txn.db) {
            for header in &evicted {
                txn.record_receipt(header, ReceiptState::Dropped);
            }
        }
        Ok(())
    }

    /// Inserts the rows, with sequence numbers in the order of acceptance.
    async fn insert(&mut self, txn: &mut WriteTxn<'_>) -> Result<(), StoreError> {
        let mut rows: Vec<&mut NewRow> = self
            .outcomes
            .iter_mut()
            .filter_map(|outcome| match outcome {
                Outcome::Queued(row, _) => Some(row),
                // If several servers share presence, its receipt waits as a row.
                Outcome::Dropped(row) => is_shared(txn.db).then_some(row),
            })
            .collect();
        let seqs = sequence::reserve(txn, rows.len()).await?;
        for (row, seq) in rows.iter_mut().zip(seqs) {
            row.notification.seq = seq;
        }
        for chunk in rows.chunks(MAX_ROWS) {
            txn.db.execute_raw(insertion(chunk, txn.db.get_database_backend())).await?;
        }
        Ok(())
    }
}

/// Deletes the oldest rows of queues over the limit, up to the first one after the newest hundred.
async fn evict(
    txn: &mut WriteTxn<'_>,
    over_limit: &[i64],
) -> Result<Vec<NotificationHeader>, StoreError> {
    let newest = |column| Expr::col((NEWEST_EVICTED, column));
    let of_its_grant =
        newest("grant_id").equals((notification::Entity, notification::Column::GrantId));
    let is_evicted =
        newest("seq").gte(Expr::col((notification::Entity, notification::Column::Seq)));
    let mut evicted = Vec::new();
    for chunk in over_limit.chunks(CHUNK) {
        let mut query = NotificationHeaderRow::find()
            .filter(notification::Column::State.lt(NotificationState::FIRST_ENDED));
        QuerySelect::query(&mut query).with_cte(newest_evicted(txn, chunk)).join(
            JoinType::InnerJoin,
            NEWEST_EVICTED,
            of_its_grant.clone().and(is_evicted.clone()),
        );
        evicted.extend(txn.headers(query).await?);
    }
    txn.end_headers(&evicted, NotificationState::Dropped).await?;
    Ok(evicted)
}

/// The name of the newest row to evict of each grant, inside a statement.
const NEWEST_EVICTED: &str = "newest_evicted";

/// Returns the newest row to evict of each of these grants: the columns `grant_id` and `seq`. It is
/// found once for each grant, and not once for each row of its queue, since the result is
/// materialized.
fn newest_evicted(txn: &WriteTxn<'_>, grants: &[i64]) -> CommonTableExpression {
    let newer = Alias::new("newer");
    let newest = Query::select()
        .column((newer.clone(), notification::Column::Seq))
        .from_as(notification::Entity, newer.clone())
        .and_where(
            Expr::col((newer.clone(), notification::Column::GrantId))
                .equals((grant::Entity, grant::Column::Id)),
        )
        .and_where(
            Expr::col((newer.clone(), notification::Column::State))
                .lt(NotificationState::FIRST_ENDED),
        )
        .order_by_expr(in_acceptance_order(txn.db, newer), Order::Desc)
        .limit(1)
        .offset(MAX_QUEUE_ITEMS as u64)
        .take();
    let of_each = Query::select()
        .column((grant::Entity, grant::Column::Id))
        .expr(SubQueryStatement::from(newest))
        .from(grant::Entity)
        .and_where(is_one_of(grant::Column::Id, grants.iter().copied()))
        .take();
    CommonTableExpression::new()
        .table_name(NEWEST_EVICTED)
        .columns(["grant_id", "seq"])
        .query(of_each)
        .materialized(true)
        .to_owned()
}

/// Inserts the keys. A key that has expired and was not purged yet is overwritten.
async fn insert_keys(
    txn: &WriteTxn<'_>,
    keys: Vec<(i64, String, IdempotentReply)>,
) -> Result<(), StoreError> {
    let expires_at = time_to_column(txn.now + Duration::from_secs(IDEMPOTENCY_KEY_SECONDS));
    let rows: Vec<_> = keys
        .into_iter()
        .map(|(grant, key, reply)| idempotency::ActiveModel {
            grant_id: ActiveValue::Set(grant),
            key: ActiveValue::Set(key),
            body_digest: ActiveValue::Set(reply.body_digest.to_vec()),
            notification_id: ActiveValue::Set(reply.queued.id.to_string()),
            queue_size: ActiveValue::Set(reply.queued.queue_size.try_into().unwrap_or(i32::MAX)),
            expires_at: ActiveValue::Set(expires_at),
        })
        .collect();
    let over_expired =
        OnConflict::columns([idempotency::Column::GrantId, idempotency::Column::Key])
            .update_columns([
                idempotency::Column::BodyDigest,
                idempotency::Column::NotificationId,
                idempotency::Column::QueueSize,
                idempotency::Column::ExpiresAt,
            ])
            .to_owned();
    for chunk in rows.chunks(CHUNK) {
        idempotency::Entity::insert_many(chunk.iter().cloned())
            .on_conflict(over_expired.clone())
            .exec_without_returning(txn.db)
            .await?;
    }
    Ok(())
}
