//! The writes of one run of `notify`: first all rows, then the evictions, then the idempotency
//! keys.

use std::collections::HashSet;
use std::time::Duration;

use presence_core::model::Notification;
use presence_protocol::NotificationId;
use presence_protocol::app::{QueuedNotification, Receipt, ReceiptState};
use presence_protocol::limits::{IDEMPOTENCY_KEY_SECONDS, MAX_QUEUE_ITEMS};
use sea_orm::sea_query::{
    Alias, Expr, ExprTrait, OnConflict, Order, Query, SelectStatement, SubQueryStatement,
};
use sea_orm::{
    ActiveValue, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, Statement,
    Value,
};

use super::commit_hook::CommittedEvent;
use super::write_txn::WriteTxn;
use crate::error::StoreError;
use crate::rows::{
    CHUNK, NotificationHeader, NotificationHeaderRow, NotificationState, time_to_column,
};
use crate::tables::{grant, idempotency, notification};

/// The outcome of an accepted notification.
pub(super) enum Outcome {
    /// It is queued. The flag is set if its grant is suspended.
    Queued(NewRow, bool),
    /// It was live-only, and no device can get it now.
    Dropped(Notification),
}

/// A notification to be inserted.
pub(super) struct NewRow {
    pub(super) notification: Notification,
    /// The sender that the AppService gave, or an empty text.
    pub(super) source: String,
    /// The number of the grant.
    pub(super) grant: i64,
    pub(super) live_only: bool,
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
                Outcome::Dropped(Notification { app, id, puid: uid, .. }) => {
                    let state = ReceiptState::Dropped;
                    txn.events.push(CommittedEvent::Receipt(app, Receipt { id, uid, state }));
                }
            }
        }
        for header in &evicted {
            txn.record_receipt(header, ReceiptState::Dropped);
        }
        Ok(())
    }

    /// Inserts the rows, with sequence numbers in the order of acceptance.
    async fn insert(&mut self, txn: &mut WriteTxn<'_>) -> Result<(), StoreError> {
        let mut values = Vec::with_capacity(self.outcomes.len() * VALUES_PER_ROW);
        for outcome in &mut self.outcomes {
            if let Outcome::Queued(row, _) = outcome {
                txn.last_seq += 1;
                row.notification.seq = txn.last_seq;
                values.extend(row.values());
            }
        }
        while !values.is_empty() {
            let rest = values.split_off(values.len().min(MAX_ROWS * VALUES_PER_ROW));
            txn.db.execute_raw(insertion(values)).await?;
            values = rest;
        }
        Ok(())
    }
}

/// The inserted columns, in the order of [`NewRow::values`]. All rows are pending.
const COLUMNS: &str =
    "seq, id, grant_id, message, action, sent_at, expires_at, live_only, source, state";
const VALUES: &str = "(?, ?, ?, ?, ?, ?, ?, ?, ?, 0)";
const VALUES_PER_ROW: usize = 9;
const _: () = assert!(NotificationState::PENDING == 0);
/// The maximum number of rows of a statement, a power of two.
const MAX_ROWS: usize = 512;

impl NewRow {
    fn values(&self) -> [Value; VALUES_PER_ROW] {
        let Self { notification, source, grant, live_only } = self;
        [
            notification.seq.into(),
            notification.id.to_string().into(),
            (*grant).into(),
            (*notification.message).into(),
            (*notification.action).into(),
            time_to_column(notification.sent_at).into(),
            time_to_column(notification.expires_at).into(),
            (*live_only).into(),
            source.as_str().into(),
        ]
    }
}

/// Returns the statement that inserts the rows. Empty rows, which it leaves out, fill them up to a
/// power of two: then the statement is mostly prepared already, and preparing takes half as long as
/// running it. It has `OR FAIL`, since a failed group is rolled back as a whole, so SQLite need not
/// be able to roll back this statement alone. It is not built, since the builder copies each value
/// twice.
fn insertion(mut values: Vec<Value>) -> Statement {
    let rows = (values.len() / VALUES_PER_ROW).next_power_of_two();
    values.resize(rows * VALUES_PER_ROW, Value::BigInt(None));
    let places = std::iter::repeat_n(VALUES, rows).collect::<Vec<_>>().join(", ");
    // `column1` is the name that SQLite gives to the first column of `VALUES`.
    let sql = format!(
        "INSERT OR FAIL INTO notifications ({COLUMNS}) SELECT * FROM (VALUES {places}) WHERE column1 IS NOT NULL"
    );
    Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)
}

/// Deletes the oldest rows of queues over the limit, up to the first one after the newest hundred.
async fn evict(
    txn: &mut WriteTxn<'_>,
    over_limit: &[i64],
) -> Result<Vec<NotificationHeader>, StoreError> {
    let mut evicted = Vec::new();
    for chunk in over_limit.chunks(CHUNK) {
        let newest_evicted = SubQueryStatement::from(newest_evicted());
        let is_evicted = Expr::col((notification::Entity, notification::Column::Seq))
            .lte(Expr::from(newest_evicted));
        let query = NotificationHeaderRow::find()
            .filter(grant::Column::Id.is_in(chunk.iter().copied()))
            .filter(is_evicted);
        evicted.extend(txn.headers(query).await?);
    }
    txn.delete_headers(&evicted).await?;
    Ok(evicted)
}

/// Returns the newest row to evict of a grant. One look-up in the index for each grant is many
/// times faster than ranking all rows.
fn newest_evicted() -> SelectStatement {
    let newer = Alias::new("newer");
    Query::select()
        .column((newer.clone(), notification::Column::Seq))
        .from_as(notification::Entity, newer.clone())
        .and_where(
            Expr::col((newer.clone(), notification::Column::GrantId))
                .equals((grant::Entity, grant::Column::Id)),
        )
        .order_by((newer, notification::Column::Seq), Order::Desc)
        .limit(1)
        .offset(MAX_QUEUE_ITEMS as u64)
        .take()
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
