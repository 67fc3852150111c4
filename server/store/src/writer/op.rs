//! What the writer can be asked.

use presence_core::model::{Grant, UserId};
use presence_protocol::app::QueuedNotification;
use presence_protocol::{AppId, Puid};

use super::change::{GrantOutcome, GrantQuestion, PauseQuestion};
use super::load::LoadedUser;
use super::notify::{NotifyError, NotifyQuestion};
use super::request::WriteRequest;
use super::settle::SettleQuestion;
use super::write_txn::WriteTxn;
use super::{change, load, notify, remove, settle};
use crate::error::StoreError;

/// One request.
pub(super) enum Op {
    Notify(WriteRequest<NotifyQuestion, Vec<Result<QueuedNotification, NotifyError>>>),
    Settle(WriteRequest<SettleQuestion, usize>),
    Load(WriteRequest<UserId, LoadedUser>),
    Release(WriteRequest<(AppId, Puid), usize>),
    Grant(WriteRequest<GrantQuestion, Option<GrantOutcome>>),
    Pause(WriteRequest<PauseQuestion, Option<Grant>>),
    Revoke(WriteRequest<(UserId, AppId), Option<Grant>>),
    RemoveApp(WriteRequest<AppId, bool>),
    EraseUser(WriteRequest<UserId, bool>),
    Expire(WriteRequest<(), usize>),
}

impl Op {
    /// How much work it is: about the rows it touches.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Notify(ask) => ask.question.items.len().max(1),
            Self::Settle(ask) => ask.question.ids.len().max(1),
            Self::Load(_)
            | Self::Release(_)
            | Self::Grant(_)
            | Self::Pause(_)
            | Self::Revoke(_)
            | Self::RemoveApp(_)
            | Self::EraseUser(_)
            | Self::Expire(_) => 1,
        }
    }

    /// Whether it only reads.
    pub(super) fn only_reads(&self) -> bool {
        matches!(self, Self::Load(_))
    }

    /// Whether it may be done together with its neighbours, in whatever order.
    fn joins(&self) -> bool {
        matches!(self, Self::Notify(_) | Self::Settle(_) | Self::Load(_))
    }

    /// Answers who asked.
    pub(super) fn close(self, outcome: Result<(), StoreError>) {
        match self {
            Self::Notify(ask) => ask.close(outcome),
            Self::Settle(ask) => ask.close(outcome),
            Self::Load(ask) => ask.close(outcome),
            Self::Release(ask) => ask.close(outcome),
            Self::Grant(ask) => ask.close(outcome),
            Self::Pause(ask) => ask.close(outcome),
            Self::Revoke(ask) => ask.close(outcome),
            Self::RemoveApp(ask) => ask.close(outcome),
            Self::EraseUser(ask) => ask.close(outcome),
            Self::Expire(ask) => ask.close(outcome),
        }
    }
}

/// Does all of it inside a transaction. What joins is done kind by kind; everything else keeps its place.
pub(super) async fn run_all(round: &mut WriteTxn<'_>, ops: &mut [Op]) -> Result<(), StoreError> {
    for run in ops.chunk_by_mut(|one, next| one.joins() && next.joins()) {
        match run {
            [op] if !op.joins() => run_one(round, op).await?,
            run => run_joined(round, run).await?,
        }
    }
    Ok(())
}

/// Settling comes before notifying, so that a queue has room; loading last, so that it finds what was queued.
async fn run_joined(round: &mut WriteTxn<'_>, run: &mut [Op]) -> Result<(), StoreError> {
    let (mut settles, mut notifies, mut loads) = (Vec::new(), Vec::new(), Vec::new());
    for op in run {
        match op {
            Op::Settle(ask) => settles.push(ask),
            Op::Notify(ask) => notifies.push(ask),
            Op::Load(ask) => loads.push(ask),
            Op::Release(_)
            | Op::Grant(_)
            | Op::Pause(_)
            | Op::Revoke(_)
            | Op::RemoveApp(_)
            | Op::EraseUser(_)
            | Op::Expire(_) => {}
        }
    }
    if !settles.is_empty() {
        settle::settle(round, &mut settles).await?;
    }
    if !notifies.is_empty() {
        notify::notify(round, &mut notifies).await?;
    }
    if !loads.is_empty() {
        load::load(round, &mut loads).await?;
    }
    Ok(())
}

async fn run_one(round: &mut WriteTxn<'_>, op: &mut Op) -> Result<(), StoreError> {
    match op {
        Op::Notify(_) | Op::Settle(_) | Op::Load(_) => {}
        Op::Release(ask) => {
            let (app, puid) = ask.question;
            ask.answer = Some(settle::release(round, app, puid).await?);
        }
        Op::Grant(ask) => ask.answer = Some(change::grant(round, &ask.question).await?),
        Op::Pause(ask) => ask.answer = Some(change::pause(round, &ask.question).await?),
        Op::Revoke(ask) => {
            let (user, app) = ask.question;
            ask.answer = Some(change::revoke(round, user, app).await?);
        }
        Op::RemoveApp(ask) => ask.answer = Some(remove::remove_app(round, ask.question).await?),
        Op::EraseUser(ask) => ask.answer = Some(remove::erase_user(round, ask.question).await?),
        Op::Expire(ask) => ask.answer = Some(remove::expire(round).await?),
    }
    Ok(())
}
