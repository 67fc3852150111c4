//! Notifications that devices have taken. What an Application may not learn yet is withheld, and released later.

use std::collections::HashMap;

use presence_core::model::{Settlement, UserId};
use presence_protocol::{AppId, NotificationId, Puid};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::commit_hook::{CommittedEvent, Reachability};
use super::request::WriteRequest;
use super::write_txn::WriteTxn;
use crate::error::StoreError;
use crate::rows::{CHUNK, NotificationHeader, NotificationHeaderRow, NotificationState};
use crate::tables::{grant, notification};

/// A user's device took these.
pub(super) struct SettleQuestion {
    pub(super) user: UserId,
    pub(super) ids: Vec<NotificationId>,
    pub(super) how: Settlement,
}

/// Settles what is pending, each once, whoever asks first.
pub(super) async fn settle(
    round: &mut WriteTxn<'_>,
    asks: &mut [&mut WriteRequest<SettleQuestion, usize>],
) -> Result<(), StoreError> {
    let mut pending = pending(round, asks).await?;
    let mut settled = Vec::new();
    let (mut delivered, mut acked) = (Vec::new(), Vec::new());
    for ask in asks {
        let SettleQuestion { user, ids, how } = &ask.question;
        let mut count = 0;
        for id in ids {
            if pending.get(id).is_none_or(|slip| slip.user != *user) {
                continue;
            }
            let Some(slip) = pending.remove(id) else { continue };
            count += 1;
            if round.reach(slip.app, slip.puid, slip.user) == Reachability::Unseen {
                round.done.push(CommittedEvent::Withheld(slip.user, slip.app, slip.puid));
                match how {
                    Settlement::Delivered => delivered.push(slip.seq),
                    Settlement::Acked => acked.push(slip.seq),
                }
            } else {
                round.note_receipt(&slip, (*how).into());
                settled.push(slip);
            }
        }
        ask.answer = Some(count);
    }
    round.delete_slips(&settled).await?;
    withhold(round, &delivered, Settlement::Delivered).await?;
    withhold(round, &acked, Settlement::Acked).await
}

/// The Application sees the user again: deletes what was withheld, and gives the receipts.
pub(super) async fn release(
    round: &mut WriteTxn<'_>,
    app: AppId,
    puid: Puid,
) -> Result<usize, StoreError> {
    let query = NotificationHeaderRow::find()
        .filter(grant::Column::Puid.eq(puid.to_string()))
        .filter(grant::Column::AppId.eq(app.to_string()))
        .filter(notification::Column::State.ne(NotificationState::PENDING));
    let slips = round.slips(query).await?;
    for slip in &slips {
        if let Some(state) = slip.state.receipt() {
            round.note_receipt(slip, state);
        }
    }
    round.delete_slips(&slips).await?;
    Ok(slips.len())
}

async fn pending(
    round: &WriteTxn<'_>,
    asks: &[&mut WriteRequest<SettleQuestion, usize>],
) -> Result<HashMap<NotificationId, NotificationHeader>, StoreError> {
    let mut ids: Vec<NotificationId> =
        asks.iter().flat_map(|ask| ask.question.ids.iter().copied()).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut pending = HashMap::with_capacity(ids.len());
    for chunk in ids.chunks(CHUNK) {
        let query = NotificationHeaderRow::find()
            .filter(notification::Column::Id.is_in(chunk.iter().map(NotificationId::to_string)))
            .filter(notification::Column::State.eq(NotificationState::PENDING));
        pending.extend(round.slips(query).await?.into_iter().map(|slip| (slip.id, slip)));
    }
    Ok(pending)
}

async fn withhold(round: &WriteTxn<'_>, seqs: &[i64], how: Settlement) -> Result<(), StoreError> {
    for chunk in seqs.chunks(CHUNK) {
        notification::Entity::update_many()
            .col_expr(notification::Column::State, NotificationState::Withheld(how).code().into())
            .filter(notification::Column::Seq.is_in(chunk.iter().copied()))
            .exec(round.db)
            .await?;
    }
    Ok(())
}
