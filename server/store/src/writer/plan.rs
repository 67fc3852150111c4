//! What a run of `notify` is going to write: all rows at once, then what has to make room, then the keys.

use std::collections::HashSet;
use std::time::Duration;

use presence_core::model::Notification;
use presence_protocol::NotificationId;
use presence_protocol::app::{QueuedNotification, Receipt, ReceiptState};
use presence_protocol::limits::{IDEMPOTENCY_SECONDS, QUEUE_ITEMS};
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

/// What becomes of an accepted notification.
pub(super) enum Outcome {
    /// It is queued, for a grant that may be paused.
    Queued(Row, bool),
    /// It was for now only, and nobody was there.
    Dropped(Notification),
}

/// A notification to be stored.
pub(super) struct Row {
    pub(super) notification: Notification,
    /// The number of the grant.
    pub(super) grant: i64,
    pub(super) live_only: bool,
}

/// How a key was answered, and for what.
#[derive(Clone)]
pub(super) struct Remembered {
    pub(super) body_digest: [u8; 32],
    pub(super) queued: QueuedNotification,
}

/// All that is to be written, in order.
#[derive(Default)]
pub(super) struct Plan {
    fates: Vec<Outcome>,
    keys: Vec<(i64, String, Remembered)>,
}

impl Plan {
    pub(super) fn add(&mut self, fate: Outcome) {
        self.fates.push(fate);
    }

    pub(super) fn remember(&mut self, (grant, key): &(i64, String), answer: Remembered) {
        self.keys.push((*grant, key.clone(), answer));
    }

    /// Writes it. `crowded` are the grants that have more rows than may wait.
    pub(super) async fn write(
        mut self,
        round: &mut WriteTxn<'_>,
        crowded: Vec<i64>,
    ) -> Result<(), StoreError> {
        self.insert(round).await?;
        let evicted = evict(round, &crowded).await?;
        insert_keys(round, self.keys).await?;
        let gone: HashSet<NotificationId> = evicted.iter().map(|slip| slip.id).collect();
        for fate in self.fates {
            match fate {
                Outcome::Queued(Row { notification, .. }, paused) => {
                    if !paused && !gone.contains(&notification.id) {
                        round.done.push(CommittedEvent::Queued(notification));
                    }
                }
                Outcome::Dropped(Notification { app, id, puid: uid, .. }) => {
                    let state = ReceiptState::Dropped;
                    round.done.push(CommittedEvent::Receipt(app, Receipt { id, uid, state }));
                }
            }
        }
        for slip in &evicted {
            round.note_receipt(slip, ReceiptState::Dropped);
        }
        Ok(())
    }

    /// Numbers the rows in the order in which they were accepted.
    async fn insert(&mut self, round: &mut WriteTxn<'_>) -> Result<(), StoreError> {
        let mut values = Vec::with_capacity(self.fates.len() * VALUES_A_ROW);
        for fate in &mut self.fates {
            if let Outcome::Queued(row, _) = fate {
                round.up_to += 1;
                row.notification.seq = round.up_to;
                values.extend(row.values());
            }
        }
        while !values.is_empty() {
            let rest = values.split_off(values.len().min(ROWS_AT_ONCE * VALUES_A_ROW));
            round.db.execute_raw(insertion(values)).await?;
            values = rest;
        }
        Ok(())
    }
}

/// What is stored of each, in the order of [`Row::values`]; all are pending.
const COLUMNS: &str = "seq, id, grant_id, message, action, sent_at, expires_at, live_only, state";
const VALUES: &str = "(?, ?, ?, ?, ?, ?, ?, ?, 0)";
const VALUES_A_ROW: usize = 8;
const _: () = assert!(NotificationState::PENDING == 0);
/// A power of two, as large as a statement may be.
const ROWS_AT_ONCE: usize = 512;

impl Row {
    fn values(&self) -> [Value; VALUES_A_ROW] {
        let Self { notification, grant, live_only } = self;
        [
            notification.seq.into(),
            notification.id.to_string().into(),
            (*grant).into(),
            (*notification.message).into(),
            (*notification.action).into(),
            time_to_column(notification.sent_at).into(),
            time_to_column(notification.expires_at).into(),
            (*live_only).into(),
        ]
    }
}

/// Empty rows are added until there are as many as a power of two, and left out again by the statement: one of few lengths is
/// prepared already, and to prepare it takes half as long as to run it. `OR FAIL`, since a group that fails is undone as a whole, and
/// SQLite need not be able to undo this statement alone. Its text is written here, since the builder copies every value twice.
fn insertion(mut values: Vec<Value>) -> Statement {
    let rows = (values.len() / VALUES_A_ROW).next_power_of_two();
    values.resize(rows * VALUES_A_ROW, Value::BigInt(None));
    let places = std::iter::repeat_n(VALUES, rows).collect::<Vec<_>>().join(", ");
    // As SQLite names the columns of `VALUES`.
    let sql = format!(
        "INSERT OR FAIL INTO notifications ({COLUMNS}) SELECT * FROM (VALUES {places}) WHERE column1 IS NOT NULL"
    );
    Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)
}

/// Deletes the oldest rows of those who have too many: up to the first one beyond the newest hundred.
async fn evict(
    round: &mut WriteTxn<'_>,
    crowded: &[i64],
) -> Result<Vec<NotificationHeader>, StoreError> {
    let mut evicted = Vec::new();
    for chunk in crowded.chunks(CHUNK) {
        let last = SubQueryStatement::from(last_beyond());
        let its_last =
            Expr::col((notification::Entity, notification::Column::Seq)).lte(Expr::from(last));
        let query = NotificationHeaderRow::find()
            .filter(grant::Column::Id.is_in(chunk.iter().copied()))
            .filter(its_last);
        evicted.extend(round.slips(query).await?);
    }
    round.delete_slips(&evicted).await?;
    Ok(evicted)
}

/// Looks the limit up in the index once for each grant, which is many times faster than to rank all rows.
fn last_beyond() -> SelectStatement {
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
        .offset(QUEUE_ITEMS as u64)
        .take()
}

/// An expired key that was not purged yet is overwritten.
async fn insert_keys(
    round: &WriteTxn<'_>,
    keys: Vec<(i64, String, Remembered)>,
) -> Result<(), StoreError> {
    let expires_at = time_to_column(round.now + Duration::from_secs(IDEMPOTENCY_SECONDS));
    let rows: Vec<_> = keys
        .into_iter()
        .map(|(grant, key, answer)| idempotency::ActiveModel {
            grant_id: ActiveValue::Set(grant),
            key: ActiveValue::Set(key),
            body_digest: ActiveValue::Set(answer.body_digest.to_vec()),
            notification_id: ActiveValue::Set(answer.queued.id.to_string()),
            queue_size: ActiveValue::Set(answer.queued.queue_size.try_into().unwrap_or(i32::MAX)),
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
            .exec_without_returning(round.db)
            .await?;
    }
    Ok(())
}
