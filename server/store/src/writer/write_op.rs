//! The operations of the writer, and their order within a transaction.

use presence_core::model::{Grant, UserId};
use presence_protocol::{AppId, Puid};

use super::change::{GrantError, GrantInput, GrantOutcome, PauseInput};
use super::load::LoadedUser;
use super::notify::NotifyRequest;
use super::request::WriteRequest;
use super::settle::SettleRequest;
use super::write_txn::WriteTxn;
use super::{change, load, notify, remove, settle};
use crate::error::StoreError;

/// One operation.
pub(super) enum WriteOp {
    Notify(NotifyRequest),
    Settle(SettleRequest),
    Load(WriteRequest<UserId, LoadedUser>),
    /// The release of the taken notifications of these grants, which the hub requests.
    Release(Vec<(AppId, Puid)>),
    Grant(WriteRequest<GrantInput, Result<GrantOutcome, GrantError>>),
    Pause(WriteRequest<PauseInput, Option<Grant>>),
    Revoke(WriteRequest<(UserId, AppId), Option<Grant>>),
    RemoveApp(WriteRequest<AppId, bool>),
    EraseUser(WriteRequest<UserId, bool>),
    Expire(WriteRequest<(), usize>),
}

impl WriteOp {
    /// Returns about how many rows it touches.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Notify(request) => request.input.items.len().max(1),
            Self::Settle(request) => request.input.ids.len().max(1),
            Self::Release(grants) => grants.len(),
            Self::Load(_)
            | Self::Grant(_)
            | Self::Pause(_)
            | Self::Revoke(_)
            | Self::RemoveApp(_)
            | Self::EraseUser(_)
            | Self::Expire(_) => 1,
        }
    }

    /// Returns true if it only reads.
    pub(super) fn is_read_only(&self) -> bool {
        matches!(self, Self::Load(_))
    }

    /// Returns true if it can be done together with adjacent operations, in any order.
    fn is_batched(&self) -> bool {
        matches!(self, Self::Notify(_) | Self::Settle(_) | Self::Load(_))
    }

    /// Returns true if its caller does not wait for it any more.
    pub(super) fn is_late(&self) -> bool {
        match self {
            Self::Release(_) => false,
            Self::Notify(request) => request.is_late(),
            Self::Settle(request) => request.is_late(),
            Self::Load(request) => request.is_late(),
            Self::Grant(request) => request.is_late(),
            Self::Pause(request) => request.is_late(),
            Self::Revoke(request) => request.is_late(),
            Self::RemoveApp(request) => request.is_late(),
            Self::EraseUser(request) => request.is_late(),
            Self::Expire(request) => request.is_late(),
        }
    }

    /// Sends the reply. Returns the grants of a release that failed.
    pub(super) fn complete(self, result: Result<(), StoreError>) -> Option<Vec<(AppId, Puid)>> {
        match self {
            Self::Release(grants) => return result.is_err().then_some(grants),
            Self::Notify(request) => request.complete(result),
            Self::Settle(request) => request.complete(result),
            Self::Load(request) => request.complete(result),
            Self::Grant(request) => request.complete(result),
            Self::Pause(request) => request.complete(result),
            Self::Revoke(request) => request.complete(result),
            Self::RemoveApp(request) => request.complete(result),
            Self::EraseUser(request) => request.complete(result),
            Self::Expire(request) => request.complete(result),
        }
        None
    }
}

/// Runs the operations inside a transaction. Adjacent ones that can be batched are done kind by
/// kind, all others keep their place.
pub(super) async fn run_all(txn: &mut WriteTxn<'_>, ops: &mut [WriteOp]) -> Result<(), StoreError> {
    for run in ops.chunk_by_mut(|one, next| one.is_batched() && next.is_batched()) {
        match run {
            [op] if !op.is_batched() => run_one(txn, op).await?,
            run => run_batch(txn, run).await?,
        }
    }
    Ok(())
}

/// Settles first, so that queues have space, and loads last, so that loads see what was queued.
async fn run_batch(txn: &mut WriteTxn<'_>, run: &mut [WriteOp]) -> Result<(), StoreError> {
    let (mut settles, mut notifies, mut loads) = (Vec::new(), Vec::new(), Vec::new());
    for op in run {
        match op {
            WriteOp::Settle(request) => settles.push(request),
            WriteOp::Notify(request) => notifies.push(request),
            WriteOp::Load(request) => loads.push(request),
            WriteOp::Release(_)
            | WriteOp::Grant(_)
            | WriteOp::Pause(_)
            | WriteOp::Revoke(_)
            | WriteOp::RemoveApp(_)
            | WriteOp::EraseUser(_)
            | WriteOp::Expire(_) => {}
        }
    }
    if !settles.is_empty() {
        settle::settle(txn, &mut settles).await?;
    }
    if !notifies.is_empty() {
        notify::notify(txn, &mut notifies).await?;
    }
    if !loads.is_empty() {
        load::load(txn, &mut loads).await?;
    }
    Ok(())
}

async fn run_one(txn: &mut WriteTxn<'_>, op: &mut WriteOp) -> Result<(), StoreError> {
    match op {
        WriteOp::Notify(_) | WriteOp::Settle(_) | WriteOp::Load(_) => {}
        WriteOp::Release(grants) => settle::release(txn, grants).await?,
        WriteOp::Grant(request) => {
            request.output = Some(change::grant(txn, &request.input).await?);
        }
        WriteOp::Pause(request) => {
            request.output = Some(change::pause(txn, &request.input).await?);
        }
        WriteOp::Revoke(request) => {
            let (user, app) = request.input;
            request.output = Some(change::revoke(txn, user, app).await?);
        }
        WriteOp::RemoveApp(request) => {
            request.output = Some(remove::remove_app(txn, request.input).await?);
        }
        WriteOp::EraseUser(request) => {
            request.output = Some(remove::erase_user(txn, request.input).await?);
        }
        WriteOp::Expire(request) => request.output = Some(remove::expire(txn).await?),
    }
    Ok(())
}
