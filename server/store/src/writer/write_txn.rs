//! A transaction of the writer: its inputs, and the events that its commit leads to.

use presence_core::UnixMillis;
use presence_core::model::UserId;
use presence_protocol::app::{Receipt, ReceiptState};
use presence_protocol::{AppId, Puid};
use sea_orm::sea_query::{Expr, ExprTrait, IntoIden, LockType};
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
};

use super::noted::NotedSettlements;
use super::senders::Senders;
use super::target::Targets;
use crate::commit_hook::{CommittedEvent, NotifyLimit};
use crate::credential_cache::CredentialCache;
use crate::error::StoreError;
use crate::row_lock::is_shared;
use crate::rows::{CHUNK, NotificationHeader, NotificationHeaderRow, NotificationState, is_one_of};
use crate::tables::{notification, user};

/// The knowledge of the writer outside of a transaction.
pub(super) struct WriterMemory<'a> {
    pub(super) targets: &'a mut Targets,
    pub(super) senders: &'a mut Senders,
    pub(super) credentials: &'a CredentialCache,
    pub(super) noted: &'a NotedSettlements,
}

/// An open transaction. Its events count only once it is committed.
pub(super) struct WriteTxn<'a> {
    pub(super) db: &'a DatabaseTransaction,
    pub(super) now: UnixMillis,
    /// The greatest sequence number so far.
    pub(super) last_seq: i64,
    pub(super) events: Vec<CommittedEvent>,
    pub(super) targets: &'a mut Targets,
    pub(super) senders: &'a mut Senders,
    /// The cache that knows which Applications have changed.
    pub(super) credentials: &'a CredentialCache,
    pub(super) notify_limit: Option<&'a dyn NotifyLimit>,
    /// The settlements that are not written yet.
    pub(super) noted: &'a NotedSettlements,
    /// The grants whose taken notifications were released.
    pub(super) released: Vec<(AppId, Puid)>,
}

impl<'a> WriteTxn<'a> {
    pub(super) fn new(
        db: &'a DatabaseTransaction,
        now: UnixMillis,
        last_seq: i64,
        memory: WriterMemory<'a>,
    ) -> Self {
        let WriterMemory { targets, senders, credentials, noted } = memory;
        Self {
            db,
            now,
            last_seq,
            events: Vec::new(),
            targets,
            senders,
            credentials,
            notify_limit: None,
            noted,
            released: Vec::new(),
        }
    }

    /// Returns the events, and the greatest sequence number. Releases end last, so that the
    /// receipts of settlements of the same transaction come with them.
    pub(super) fn finish(mut self) -> (Vec<CommittedEvent>, i64) {
        let end = |(app, puid)| CommittedEvent::Released(app, puid);
        self.events.extend(self.released.into_iter().map(end));
        (self.events, self.last_seq)
    }

    pub(super) fn record_receipt(&mut self, header: &NotificationHeader, state: ReceiptState) {
        let receipt = Receipt { id: header.id, uid: header.puid, state };
        self.events.push(CommittedEvent::Receipt(header.app, receipt));
    }

    /// Reads the headers of the notifications of a query, in the order of acceptance. On PostgreSQL
    /// it locks them, so that no other server settles or deletes them meanwhile.
    pub(super) async fn headers(
        &self,
        query: Select<notification::Entity>,
    ) -> Result<Vec<NotificationHeader>, StoreError> {
        let mut query = query.order_by_asc(in_acceptance_order(self.db, notification::Entity));
        QuerySelect::query(&mut query).lock_with_tables(LockType::Update, [notification::Entity]);
        let rows: Vec<NotificationHeaderRow> = query.into_model().all(self.db).await?;
        rows.into_iter().map(NotificationHeader::try_from).collect()
    }

    /// Ends notifications that have a row. Where several servers share presence, the rows stay with
    /// this state until their receipts are released. Otherwise they are deleted.
    pub(super) async fn end_headers(
        &mut self,
        headers: &[NotificationHeader],
        state: NotificationState,
    ) -> Result<(), StoreError> {
        if !is_shared(self.db) {
            return self.delete_headers(headers).await;
        }
        for chunk in headers.chunks(CHUNK) {
            notification::Entity::update_many()
                .col_expr(notification::Column::State, state.code().into())
                .filter(is_one_of(notification::Column::Seq, chunk.iter().map(|header| header.seq)))
                .exec(self.db)
                .await?;
        }
        Ok(())
    }

    /// Deletes notifications that have a row.
    pub(super) async fn delete_headers(
        &mut self,
        headers: &[NotificationHeader],
    ) -> Result<(), StoreError> {
        for chunk in headers.chunks(CHUNK) {
            notification::Entity::delete_many()
                .filter(is_one_of(notification::Column::Seq, chunk.iter().map(|header| header.seq)))
                .exec(self.db)
                .await?;
        }
        for header in headers {
            self.targets.count_deleted(&header.puid);
        }
        Ok(())
    }

    /// Increases the revisions of the grants of these users.
    pub(super) async fn bump_revisions(&self, users: &[UserId]) -> Result<(), StoreError> {
        for chunk in users.chunks(CHUNK) {
            user::Entity::update_many()
                .col_expr(user::Column::Revision, Expr::col(user::Column::Revision).add(1))
                .filter(is_one_of(user::Column::Id, chunk.iter().map(|user| user.0)))
                .exec(self.db)
                .await?;
        }
        Ok(())
    }
}

/// Returns the place of a notification in the order of acceptance, to sort by it. On PostgreSQL it
/// is an expression without an index: by the one of the numbers, a plan that was made while the
/// table was small would read the whole table in this order.
pub(super) fn in_acceptance_order<C: ConnectionTrait>(db: &C, table: impl IntoIden) -> Expr {
    let seq = Expr::col((table.into_iden(), notification::Column::Seq));
    if is_shared(db) { seq.add(0) } else { seq }
}
