//! What a run of `notify` is going to write: all rows at once, then what has to make room, then the keys.

use std::collections::{HashMap, HashSet};

use presence_core::model::Notification;
use presence_protocol::app::{Queued, Receipt, ReceiptState};
use presence_protocol::limits::{IDEMPOTENCY_SECONDS, QUEUE_ITEMS};
use presence_protocol::{NotificationId, Puid};
use sea_orm::sea_query::{
    Alias, Expr, ExprTrait, OnConflict, Order, Query, SelectStatement, SubQueryStatement,
};
use sea_orm::{
    ActiveValue, ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryTrait,
};

use super::observer::Done;
use super::round::Round;
use crate::error::StoreError;
use crate::rows::{CHUNK, Slip, SlipRow, Waiting, id, stored};
use crate::tables::{grant, idempotency, notification};

/// What becomes of an accepted notification.
pub(super) enum Fate {
    /// It is queued.
    Queued { notification: Notification, live_only: bool, paused: bool },
    /// It was for now only, and nobody was there.
    Dropped(Notification),
}

/// How a key was answered, and for what.
#[derive(Clone)]
pub(super) struct Remembered {
    pub(super) body_digest: [u8; 32],
    pub(super) queued: Queued,
}

/// All that is to be written, in order.
#[derive(Default)]
pub(super) struct Plan {
    fates: Vec<Fate>,
    keys: Vec<(Puid, String, Remembered)>,
}

impl Plan {
    pub(super) fn add(&mut self, fate: Fate) {
        self.fates.push(fate);
    }

    pub(super) fn remember(&mut self, (puid, key): &(Puid, String), answer: Remembered) {
        self.keys.push((*puid, key.clone(), answer));
    }

    /// Writes it. `crowded` are those who have more rows than may wait.
    pub(super) async fn write(
        mut self,
        round: &mut Round<'_>,
        crowded: Vec<Puid>,
    ) -> Result<(), StoreError> {
        self.insert(round).await?;
        let evicted = evict(round, &crowded).await?;
        insert_keys(round, self.keys).await?;
        let gone: HashSet<NotificationId> = evicted.iter().map(|slip| slip.id).collect();
        for fate in self.fates {
            match fate {
                Fate::Queued { notification, paused, .. } => {
                    if !paused && !gone.contains(&notification.id) {
                        round.done.push(Done::Queued(notification));
                    }
                }
                Fate::Dropped(Notification { app, id, puid: uid, .. }) => {
                    let state = ReceiptState::Dropped;
                    round.done.push(Done::Receipt(app, Receipt { id, uid, state }));
                }
            }
        }
        for slip in &evicted {
            round.note_receipt(slip, ReceiptState::Dropped);
        }
        Ok(())
    }

    /// The database numbers the rows in the order in which they are given.
    async fn insert(&mut self, round: &mut Round<'_>) -> Result<(), StoreError> {
        let rows: Vec<_> = self.fates.iter().filter_map(Fate::row).collect();
        let mut seqs: HashMap<NotificationId, i64> = HashMap::with_capacity(rows.len());
        for chunk in rows.chunks(CHUNK) {
            let mut insert = notification::Entity::insert_many(chunk.iter().cloned()).into_query();
            insert.returning(
                Query::returning().columns([notification::Column::Seq, notification::Column::Id]),
            );
            for row in round.db.query_all(&insert).await? {
                let (seq, name): (i64, String) = (row.try_get("", "seq")?, row.try_get("", "id")?);
                seqs.insert(id("notifications", &name)?, seq);
                round.up_to = Ord::max(round.up_to, seq);
            }
        }
        for fate in &mut self.fates {
            if let Fate::Queued { notification, .. } = fate {
                let seq = seqs.get(&notification.id).copied();
                notification.seq = seq.ok_or(StoreError::Nonsense("notifications"))?;
            }
        }
        Ok(())
    }
}

impl Fate {
    fn row(&self) -> Option<notification::ActiveModel> {
        let Self::Queued { notification, live_only, .. } = self else { return None };
        Some(notification::ActiveModel {
            seq: ActiveValue::NotSet,
            id: ActiveValue::Set(notification.id.to_string()),
            app_id: ActiveValue::Set(notification.app.to_string()),
            puid: ActiveValue::Set(notification.puid.to_string()),
            user_id: ActiveValue::Set(notification.user.0),
            message: ActiveValue::Set(notification.message.to_string()),
            action: ActiveValue::Set(notification.action.to_string()),
            sent_at: ActiveValue::Set(stored(notification.sent_at)),
            expires_at: ActiveValue::Set(stored(notification.expires_at)),
            state: ActiveValue::Set(Waiting::PENDING),
            live_only: ActiveValue::Set(*live_only),
        })
    }
}

/// Deletes the oldest rows of those who have too many: up to the first one beyond the newest hundred.
async fn evict(round: &Round<'_>, crowded: &[Puid]) -> Result<Vec<Slip>, StoreError> {
    let mut evicted = Vec::new();
    for chunk in crowded.chunks(CHUNK) {
        let rows = round.db.query_all(&oldest(chunk)).await?;
        for row in rows {
            evicted.push(Slip::try_from(SlipRow::from_query_result(&row, "")?)?);
        }
    }
    round.delete_slips(&evicted.iter().map(|slip| slip.seq).collect::<Vec<_>>()).await?;
    Ok(evicted)
}

/// Looks the limit up in the index once for each, which is many times faster than to rank all rows.
fn oldest(crowded: &[Puid]) -> SelectStatement {
    let newer = Alias::new("newer");
    let last = Query::select()
        .column((newer.clone(), notification::Column::Seq))
        .from_as(notification::Entity, newer.clone())
        .and_where(
            Expr::col((newer.clone(), notification::Column::Puid))
                .equals((grant::Entity, grant::Column::Puid)),
        )
        .order_by((newer, notification::Column::Seq), Order::Desc)
        .limit(1)
        .offset(QUEUE_ITEMS as u64)
        .take();
    let column = |column| (notification::Entity, column);
    Query::select()
        .columns(SlipRow::COLUMNS.map(column))
        .from(grant::Entity)
        .inner_join(
            notification::Entity,
            Expr::col(column(notification::Column::Puid))
                .equals((grant::Entity, grant::Column::Puid))
                .and(
                    Expr::col(column(notification::Column::Seq))
                        .lte(Expr::from(SubQueryStatement::from(last))),
                ),
        )
        .and_where(grant::Column::Puid.is_in(crowded.iter().map(Puid::to_string)))
        .order_by(column(notification::Column::Seq), Order::Asc)
        .take()
}

/// An expired key that was not purged yet is overwritten.
async fn insert_keys(
    round: &Round<'_>,
    keys: Vec<(Puid, String, Remembered)>,
) -> Result<(), StoreError> {
    let expires_at = stored(round.now.saturating_add(IDEMPOTENCY_SECONDS * 1000));
    let rows: Vec<_> = keys
        .into_iter()
        .map(|(puid, key, answer)| idempotency::ActiveModel {
            puid: ActiveValue::Set(puid.to_string()),
            key: ActiveValue::Set(key),
            body_digest: ActiveValue::Set(answer.body_digest.to_vec()),
            notification_id: ActiveValue::Set(answer.queued.id.to_string()),
            queue_size: ActiveValue::Set(answer.queued.queue_size.try_into().unwrap_or(i32::MAX)),
            expires_at: ActiveValue::Set(expires_at),
        })
        .collect();
    let over_expired = OnConflict::columns([idempotency::Column::Puid, idempotency::Column::Key])
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
