//! One transaction of the writer: what it has to work with, and what it has done so far.

use presence_core::UnixMillis;
use presence_core::model::{GrantSet, UserId};
use presence_protocol::app::{Receipt, ReceiptState};
use presence_protocol::{AppId, Puid};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, Select};

use super::commit_hook::{CommitHook, CommittedEvent, Reachability};
use super::target::Targets;
use crate::error::StoreError;
use crate::rows::{CHUNK, NotificationHeader, NotificationHeaderRow};
use crate::tables::{grant, notification, user};

/// A transaction under way. What it notes counts only once the transaction is committed.
pub(super) struct WriteTxn<'a> {
    pub(super) db: &'a DatabaseTransaction,
    pub(super) now: UnixMillis,
    /// The greatest sequence number so far.
    pub(super) up_to: i64,
    pub(super) done: Vec<CommittedEvent>,
    pub(super) targets: &'a mut Targets,
    pub(super) observer: &'a dyn CommitHook,
}

impl<'a> WriteTxn<'a> {
    pub(super) fn new(
        db: &'a DatabaseTransaction,
        observer: &'a dyn CommitHook,
        now: UnixMillis,
        up_to: i64,
        targets: &'a mut Targets,
    ) -> Self {
        Self { db, now, up_to, done: Vec::new(), targets, observer }
    }

    /// What was done, and the greatest sequence number now.
    pub(super) fn finish(self) -> (Vec<CommittedEvent>, i64) {
        (self.done, self.up_to)
    }

    pub(super) fn reach(&self, app: AppId, puid: Puid, user: UserId) -> Reachability {
        self.observer.reach(app, puid, user)
    }

    pub(super) fn note_receipt(&mut self, slip: &NotificationHeader, state: ReceiptState) {
        self.done.push(CommittedEvent::Receipt(
            slip.app,
            Receipt { id: slip.id, uid: slip.puid, state },
        ));
    }

    /// The notifications of a query, without what they say, in the order of acceptance.
    pub(super) async fn slips(
        &self,
        query: Select<notification::Entity>,
    ) -> Result<Vec<NotificationHeader>, StoreError> {
        let query = query.order_by_asc(notification::Column::Seq);
        let rows: Vec<NotificationHeaderRow> = query.into_model().all(self.db).await?;
        rows.into_iter().map(NotificationHeader::try_from).collect()
    }

    /// Takes notifications that have a row out of their queues.
    pub(super) async fn delete_slips(
        &mut self,
        slips: &[NotificationHeader],
    ) -> Result<(), StoreError> {
        for chunk in slips.chunks(CHUNK) {
            notification::Entity::delete_many()
                .filter(notification::Column::Seq.is_in(chunk.iter().map(|slip| slip.seq)))
                .exec(self.db)
                .await?;
        }
        for slip in slips {
            self.targets.count_deleted(&slip.puid);
        }
        Ok(())
    }

    /// The grants of these users have changed.
    pub(super) async fn raise_revisions(&self, users: &[UserId]) -> Result<(), StoreError> {
        for chunk in users.chunks(CHUNK) {
            user::Entity::update_many()
                .col_expr(user::Column::Revision, Expr::col(user::Column::Revision).add(1))
                .filter(user::Column::Id.is_in(chunk.iter().map(|user| user.0)))
                .exec(self.db)
                .await?;
        }
        Ok(())
    }

    /// The grants of a user as they are now.
    pub(super) async fn grant_set(&self, user: UserId) -> Result<GrantSet, StoreError> {
        let row = user::Entity::find_by_id(user.0).one(self.db).await?;
        let grants = grant::Entity::find()
            .filter(grant::Column::UserId.eq(user.0))
            .order_by_asc(grant::Column::GrantedAt)
            .order_by_asc(grant::Column::Puid)
            .all(self.db)
            .await?;
        Ok(GrantSet {
            revision: row.map_or(0, |row| row.revision),
            grants: grants.iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
        })
    }
}
