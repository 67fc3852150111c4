//! Pages of a user's notifications, read by their `seq`: a queue is never read as a whole.

use std::collections::HashMap;

use presence_core::UnixMillis;
use presence_core::model::{Notification, UserId};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, QueryFilter, QueryOrder, Select};

use crate::error::StoreError;
use crate::grants::UserGrantRow;
use crate::rows::{
    CHUNK, NotificationRow, NotificationState, QueueRow, Sender, is_one_of, notification,
    time_to_column,
};
use crate::store::Store;
use crate::tables::{grant, notification};

/// The maximum number of notifications that are read at once for one device.
pub const PENDING_PAGE: usize = 128;

impl Store {
    /// Returns those of a user's notifications that are still to be delivered, in the order of
    /// `seqs`, which is ascending.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn pending_page(
        &self,
        user: UserId,
        seqs: &[i64],
        now: UnixMillis,
    ) -> Result<Vec<Notification>, StoreError> {
        let query = rows_of(user, seqs)
            .filter(is_pending(now))
            .filter(notification::Column::LiveOnly.eq(false))
            .filter(is_delivered());
        self.read_page(user, query, now).await
    }

    /// Returns the `seq` of each notification that waits for devices of these users, in ascending
    /// order, also of those for connected devices only.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn pending_of(
        &self,
        users: &[UserId],
        now: UnixMillis,
    ) -> Result<HashMap<UserId, Vec<i64>>, StoreError> {
        let mut pending: HashMap<UserId, Vec<i64>> = HashMap::new();
        for chunk in users.chunks(CHUNK) {
            let query = QueueRow::find()
                .filter(is_one_of(grant::Column::UserId, chunk.iter().map(|user| user.0)))
                .filter(is_pending(now))
                .filter(is_delivered())
                .order_by_asc(notification::Column::Seq);
            let rows: Vec<QueueRow> = query.into_model().all(self.read()).await?;
            for row in rows {
                pending.entry(UserId(row.user_id)).or_default().push(row.seq);
            }
        }
        Ok(pending)
    }

    /// Returns those of a user's notifications that still wait for devices, in the order of
    /// `seqs`, which is ascending, also those for connected devices only.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn pending_with_live_only(
        &self,
        user: UserId,
        seqs: &[i64],
        now: UnixMillis,
    ) -> Result<Vec<Notification>, StoreError> {
        let query = rows_of(user, seqs).filter(is_pending(now));
        self.read_page(user, query, now).await
    }

    /// Returns those of a user's notifications that are still stored, in the order of `seqs`,
    /// which is ascending.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn stored_page(
        &self,
        user: UserId,
        seqs: &[i64],
        now: UnixMillis,
    ) -> Result<Vec<Notification>, StoreError> {
        self.read_page(user, rows_of(user, seqs), now).await
    }

    async fn read_page(
        &self,
        user: UserId,
        query: Select<notification::Entity>,
        now: UnixMillis,
    ) -> Result<Vec<Notification>, StoreError> {
        let mut senders: HashMap<String, Sender> = HashMap::new();
        for row in UserGrantRow::of_users(&[user], self.read()).await? {
            if let Some(row) = row.grant {
                senders.insert(row.grant()?.app.to_string(), row.sender(now)?);
            }
        }
        let rows: Vec<NotificationRow> = query.into_model().all(self.read()).await?;
        // A row whose grant was added or removed between the two reads is left out.
        rows.into_iter()
            .filter_map(|row| {
                let sender = senders.get(&row.app_id)?;
                Some(notification(row, sender))
            })
            .collect()
    }
}

/// Returns the condition that a notification waits for a device, and has not expired.
pub(crate) fn is_pending(now: UnixMillis) -> Condition {
    Condition::all()
        .add(notification::Column::State.eq(NotificationState::PENDING))
        .add(notification::Column::ExpiresAt.gt(time_to_column(now)))
}

/// Returns the condition that a grant is not suspended, so that its queue is delivered.
fn is_delivered() -> Condition {
    Condition::all().add(grant::Column::Paused.eq(false)).add(grant::Column::WaitingSince.is_null())
}

fn rows_of(user: UserId, seqs: &[i64]) -> Select<notification::Entity> {
    NotificationRow::find()
        .filter(is_one_of(notification::Column::Seq, seqs.iter().copied()))
        .filter(grant::Column::UserId.eq(user.0))
        .order_by_asc(notification::Column::Seq)
}

/// Reads notifications of any users, in the order of `seqs`, which is ascending.
pub(crate) async fn notifications_by_seq<C: ConnectionTrait>(
    db: &C,
    seqs: &[i64],
) -> Result<Vec<NotificationRow>, StoreError> {
    let mut rows = Vec::with_capacity(seqs.len());
    for chunk in seqs.chunks(CHUNK) {
        let query = NotificationRow::find()
            .filter(is_one_of(notification::Column::Seq, chunk.iter().copied()))
            .order_by_asc(notification::Column::Seq);
        rows.append(&mut query.into_model().all(db).await?);
    }
    Ok(rows)
}
