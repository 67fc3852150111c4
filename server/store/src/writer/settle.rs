//! Notifications that devices have taken, and the release of their receipts.
//!
//! A taken notification of a grant with immediate receipts is deleted, and its receipt is final.
//! Each other one stays a row with the state `taken`. A release deletes such rows, and gives their
//! receipts, in the order of acceptance: the order of settlement would show what a user did while
//! hidden.

use std::collections::{BTreeSet, HashMap};

use presence_core::model::{Settlement, UserId};
use presence_protocol::{AppId, NotificationId, Puid};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::noted::NotedSettlement;
use super::request::WriteRequest;
use super::write_txn::WriteTxn;
use crate::commit_hook::CommittedEvent;
use crate::error::StoreError;
use crate::rows::{CHUNK, NotificationHeader, NotificationHeaderRow, NotificationState, is_one_of};
use crate::tables::{grant, notification};

/// The notifications that a device of a user has taken.
pub(super) struct SettleInput {
    pub(super) user: UserId,
    pub(super) ids: Vec<NotificationId>,
    pub(super) settlement: Settlement,
    /// The grants of the user with immediate receipts, as they are before the transaction.
    pub(super) immediate: Vec<Puid>,
}

/// Noted settlements of a user, for which no caller waits.
pub(super) struct SettleNotedInput {
    pub(super) user: UserId,
    pub(super) settlements: Vec<NotedSettlement>,
    /// The grants of the user with immediate receipts, as they are before the transaction.
    pub(super) immediate: Vec<Puid>,
}

/// The settlements of one user, in their order.
pub(super) struct Settlements<'a> {
    user: UserId,
    items: Vec<NotedSettlement>,
    immediate: &'a [Puid],
    /// The place for the number of those that were pending.
    count: Option<&'a mut Option<usize>>,
}

impl<'a> From<&'a mut SettleRequest> for Settlements<'a> {
    fn from(request: &'a mut SettleRequest) -> Self {
        let SettleInput { user, ids, settlement, immediate } = &request.input;
        let items = ids.iter().map(|id| (*id, *settlement)).collect();
        Self { user: *user, items, immediate, count: Some(&mut request.output) }
    }
}

impl<'a> From<&'a SettleNotedInput> for Settlements<'a> {
    fn from(input: &'a SettleNotedInput) -> Self {
        let SettleNotedInput { user, settlements, immediate } = input;
        Self { user: *user, items: settlements.clone(), immediate, count: None }
    }
}

pub(super) type SettleRequest = WriteRequest<SettleInput, usize>;

/// The rows that one run of `settle` changes.
#[derive(Default)]
struct Changes {
    deleted: Vec<NotificationHeader>,
    delivered: Vec<i64>,
    acked: Vec<i64>,
    taken: BTreeSet<(AppId, Puid)>,
}

/// Settles pending notifications, each once: the first request counts.
pub(super) async fn settle(
    txn: &mut WriteTxn<'_>,
    settlements: Vec<Settlements<'_>>,
) -> Result<(), StoreError> {
    let mut pending = read_pending(txn, &settlements).await?;
    let mut changes = Changes::default();
    for Settlements { user, items, immediate, count } in settlements {
        let mut settled = 0;
        for (id, settlement) in items {
            if pending.get(&id).is_none_or(|header| header.user != user) {
                continue;
            }
            let Some(header) = pending.remove(&id) else { continue };
            settled += 1;
            if immediate.contains(&header.puid) {
                txn.record_receipt(&header, settlement.into());
                changes.deleted.push(header);
            } else {
                changes.mark_taken(&header, settlement);
            }
        }
        if let Some(count) = count {
            *count = Some(settled);
        }
    }
    txn.delete_headers(&changes.deleted).await?;
    set_taken(txn, &changes.delivered, Settlement::Delivered).await?;
    set_taken(txn, &changes.acked, Settlement::Acked).await?;
    txn.events
        .extend(changes.taken.into_iter().map(|(app, puid)| CommittedEvent::Taken(app, puid)));
    Ok(())
}

impl Changes {
    fn mark_taken(&mut self, header: &NotificationHeader, settlement: Settlement) {
        self.taken.insert((header.app, header.puid));
        match settlement {
            Settlement::Delivered => self.delivered.push(header.seq),
            Settlement::Acked => self.acked.push(header.seq),
        }
    }
}

/// Deletes the taken notifications of these grants, and records their receipts.
pub(super) async fn release(
    txn: &mut WriteTxn<'_>,
    grants: &[(AppId, Puid)],
) -> Result<(), StoreError> {
    for chunk in grants.chunks(CHUNK) {
        let query = NotificationHeaderRow::find()
            .filter(is_one_of(grant::Column::Puid, chunk.iter().map(|(_, puid)| puid.to_string())))
            .filter(notification::Column::State.ne(NotificationState::PENDING));
        let headers = txn.headers(query).await?;
        for header in &headers {
            if let Some(state) = header.state.receipt() {
                txn.record_receipt(header, state);
            }
        }
        txn.delete_headers(&headers).await?;
    }
    txn.released.extend_from_slice(grants);
    Ok(())
}

async fn read_pending(
    txn: &WriteTxn<'_>,
    settlements: &[Settlements<'_>],
) -> Result<HashMap<NotificationId, NotificationHeader>, StoreError> {
    let mut ids: Vec<NotificationId> =
        settlements.iter().flat_map(|of_user| &of_user.items).map(|(id, _)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut pending = HashMap::with_capacity(ids.len());
    for chunk in ids.chunks(CHUNK) {
        let query = NotificationHeaderRow::find()
            .filter(is_one_of(
                notification::Column::Id,
                chunk.iter().map(NotificationId::to_string),
            ))
            .filter(notification::Column::State.eq(NotificationState::PENDING));
        let headers = txn.headers(query).await?;
        pending.extend(headers.into_iter().map(|header| (header.id, header)));
    }
    Ok(pending)
}

async fn set_taken(
    txn: &WriteTxn<'_>,
    seqs: &[i64],
    settlement: Settlement,
) -> Result<(), StoreError> {
    for chunk in seqs.chunks(CHUNK) {
        notification::Entity::update_many()
            .col_expr(
                notification::Column::State,
                NotificationState::Taken(settlement).code().into(),
            )
            .filter(is_one_of(notification::Column::Seq, chunk.iter().copied()))
            .exec(txn.db)
            .await?;
    }
    Ok(())
}
