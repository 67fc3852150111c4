//! The operations of the writer, and their order within a transaction.

use presence_core::model::{Grant, UserId};
use presence_protocol::{AppId, Puid};

use super::change::{GrantError, GrantInput, GrantOutcome, PauseInput};
use super::domain::DomainInput;
use super::load::{LoadSource, LoadedUser};
use super::noted::NotedSettlement;
use super::notify::NotifyRequest;
use super::request::WriteRequest;
use super::settle::{SettleNotedInput, SettleRequest, Settlements};
use super::write_txn::WriteTxn;
use super::{change, domain, load, notify, remove, settle};
use crate::error::StoreError;

/// One operation.
pub(super) enum WriteOp {
    Notify(NotifyRequest),
    Settle(SettleRequest),
    /// Noted settlements, which are written now.
    SettleNoted(SettleNotedInput),
    /// The request to write the noted settlements of a user, which come before it in its group.
    WriteNoted(WriteRequest<UserId, ()>),
    Load(WriteRequest<UserId, LoadedUser>),
    /// The release of the taken notifications of these grants, which the hub requests.
    Release(Vec<(AppId, Puid)>),
    Grant(WriteRequest<GrantInput, Result<GrantOutcome, GrantError>>),
    Pause(WriteRequest<PauseInput, Option<Grant>>),
    Revoke(WriteRequest<(UserId, AppId), Option<Grant>>),
    ChangeDomain(WriteRequest<DomainInput, bool>),
    /// The request to end grants that wait for too long, which are read before the transaction
    /// changes anything.
    RevokeWaiting(WriteRequest<Vec<(UserId, AppId)>, usize>),
    RemoveApp(WriteRequest<AppId, bool>),
    EraseUser(WriteRequest<UserId, bool>),
    /// The request to write the noted settlements of all users, which come before it in its group,
    /// and to drop expired notifications. The input is set if something is to be written in any
    /// case.
    Expire(WriteRequest<bool, usize>),
}

/// Grants of a user that an operation changes or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ChangedGrants {
    /// The one for an Application.
    One(UserId, AppId),
    /// All of them.
    All(UserId),
}

impl ChangedGrants {
    pub(super) fn user(self) -> UserId {
        match self {
            Self::One(user, _) | Self::All(user) => user,
        }
    }
}

/// The parts of an operation that failed, which are to be tried again.
pub(super) enum Retry {
    Nothing,
    Releases(Vec<(AppId, Puid)>),
    Settlements(UserId, Vec<NotedSettlement>),
}

impl WriteOp {
    /// Returns about how many rows it touches.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Notify(request) => request.input.items.len().max(1),
            Self::Settle(request) => request.input.ids.len().max(1),
            Self::SettleNoted(input) => input.settlements.len(),
            Self::Release(grants) => grants.len(),
            Self::WriteNoted(_)
            | Self::Load(_)
            | Self::Grant(_)
            | Self::Pause(_)
            | Self::Revoke(_)
            | Self::ChangeDomain(_)
            | Self::RevokeWaiting(_)
            | Self::RemoveApp(_)
            | Self::EraseUser(_)
            | Self::Expire(_) => 1,
        }
    }

    /// Returns the receivers of the notifications that it queues.
    pub(super) fn notified(&self) -> impl Iterator<Item = Puid> {
        let items = if let Self::Notify(request) = self { &*request.input.items } else { &[] };
        items.iter().map(|item| item.puid)
    }

    /// Returns the grants that it changes or ends, besides all those of its Applications.
    pub(super) fn changed_grants(&self) -> Vec<ChangedGrants> {
        let one = |(user, app): (UserId, AppId)| ChangedGrants::One(user, app);
        match self {
            Self::Grant(request) => vec![one((request.input.user, request.input.app))],
            Self::Pause(request) => vec![one((request.input.user, request.input.app))],
            Self::Revoke(request) => vec![one(request.input)],
            Self::RevokeWaiting(request) => request.input.iter().copied().map(one).collect(),
            Self::EraseUser(request) => vec![ChangedGrants::All(request.input)],
            Self::ChangeDomain(_)
            | Self::RemoveApp(_)
            | Self::Notify(_)
            | Self::Settle(_)
            | Self::SettleNoted(_)
            | Self::WriteNoted(_)
            | Self::Load(_)
            | Self::Release(_)
            | Self::Expire(_) => Vec::new(),
        }
    }

    /// Returns true if it ends grants, with their queues.
    pub(super) fn ends_grants(&self) -> bool {
        matches!(
            self,
            Self::Revoke(_) | Self::RevokeWaiting(_) | Self::RemoveApp(_) | Self::EraseUser(_)
        )
    }

    /// Returns the Application that it grants access to a user.
    pub(super) fn granted_app(&self) -> Option<AppId> {
        if let Self::Grant(request) = self { Some(request.input.app) } else { None }
    }

    /// Returns the Application that it changes or removes with all its grants. Those of a user who
    /// is erased are not among them.
    pub(super) fn changed_app(&self) -> Option<AppId> {
        match self {
            Self::ChangeDomain(request) => Some(request.input.app),
            Self::RemoveApp(request) => Some(request.input),
            Self::Notify(_)
            | Self::Settle(_)
            | Self::SettleNoted(_)
            | Self::WriteNoted(_)
            | Self::Load(_)
            | Self::Release(_)
            | Self::Grant(_)
            | Self::Pause(_)
            | Self::Revoke(_)
            | Self::RevokeWaiting(_)
            | Self::EraseUser(_)
            | Self::Expire(_) => None,
        }
    }

    /// Returns true if it may end API keys or sessions, or stop an Application.
    pub(super) fn ends_credentials(&self) -> bool {
        self.changed_app().is_some() || self.erased_user().is_some()
    }

    /// Returns the user whom it erases.
    pub(super) fn erased_user(&self) -> Option<UserId> {
        if let Self::EraseUser(request) = self { Some(request.input) } else { None }
    }

    /// Returns true if it only reads.
    pub(super) fn is_read_only(&self) -> bool {
        matches!(self, Self::Load(_))
    }

    /// Returns the load, if it is one.
    pub(super) fn as_load(&mut self) -> Option<&mut WriteRequest<UserId, LoadedUser>> {
        if let Self::Load(request) = self { Some(request) } else { None }
    }

    /// Returns true if it can be done together with adjacent operations, in any order.
    fn is_batched(&self) -> bool {
        matches!(self, Self::Notify(_) | Self::Settle(_) | Self::SettleNoted(_) | Self::Load(_))
    }

    /// Returns true if it comes before the others of its group, and is taken for it anew when the
    /// group is tried again.
    pub(super) fn is_taken_for_group(&self) -> bool {
        matches!(self, Self::Release(_) | Self::SettleNoted(_))
    }

    /// Returns true if its caller does not wait for it any more.
    pub(super) fn is_late(&self) -> bool {
        match self {
            Self::Release(_) | Self::SettleNoted(_) => false,
            Self::WriteNoted(request) => request.is_late(),
            Self::Notify(request) => request.is_late(),
            Self::Settle(request) => request.is_late(),
            Self::Load(request) => request.is_late(),
            Self::Grant(request) => request.is_late(),
            Self::Pause(request) => request.is_late(),
            Self::Revoke(request) => request.is_late(),
            Self::ChangeDomain(request) => request.is_late(),
            Self::RemoveApp(request) => request.is_late(),
            Self::EraseUser(request) => request.is_late(),
            Self::RevokeWaiting(request) => request.is_late(),
            Self::Expire(request) => request.is_late(),
        }
    }

    /// Sends the reply.
    pub(super) fn complete(self, result: Result<(), StoreError>) -> Retry {
        match self {
            Self::Release(grants) if result.is_err() => return Retry::Releases(grants),
            Self::SettleNoted(input) if result.is_err() => {
                return Retry::Settlements(input.user, input.settlements);
            }
            Self::Release(_) | Self::SettleNoted(_) => {}
            Self::WriteNoted(request) => request.complete(result),
            Self::Notify(request) => request.complete(result),
            Self::Settle(request) => request.complete(result),
            Self::Load(request) => request.complete(result),
            Self::Grant(request) => request.complete(result),
            Self::Pause(request) => request.complete(result),
            Self::Revoke(request) => request.complete(result),
            Self::ChangeDomain(request) => request.complete(result),
            Self::RemoveApp(request) => request.complete(result),
            Self::EraseUser(request) => request.complete(result),
            Self::RevokeWaiting(request) => request.complete(result),
            Self::Expire(request) => request.complete(result),
        }
        Retry::Nothing
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
            WriteOp::Settle(request) => settles.push(Settlements::from(request)),
            WriteOp::SettleNoted(input) => settles.push(Settlements::from(&*input)),
            WriteOp::Notify(request) => notifies.push(request),
            WriteOp::Load(request) => loads.push(request),
            WriteOp::Release(_)
            | WriteOp::WriteNoted(_)
            | WriteOp::Grant(_)
            | WriteOp::Pause(_)
            | WriteOp::Revoke(_)
            | WriteOp::ChangeDomain(_)
            | WriteOp::RevokeWaiting(_)
            | WriteOp::RemoveApp(_)
            | WriteOp::EraseUser(_)
            | WriteOp::Expire(_) => {}
        }
    }
    if !settles.is_empty() {
        settle::settle(txn, settles).await?;
    }
    if !notifies.is_empty() {
        notify::notify(txn, &mut notifies).await?;
    }
    if !loads.is_empty() {
        let (db, now, last_seq, noted) = (txn.db, txn.now, txn.last_seq, txn.noted);
        load::load(&LoadSource { db, now, last_seq, noted }, &mut loads).await?;
    }
    Ok(())
}

async fn run_one(txn: &mut WriteTxn<'_>, op: &mut WriteOp) -> Result<(), StoreError> {
    match op {
        WriteOp::Notify(_) | WriteOp::Settle(_) | WriteOp::SettleNoted(_) | WriteOp::Load(_) => {}
        WriteOp::WriteNoted(request) => request.output = Some(()),
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
        WriteOp::ChangeDomain(request) => {
            request.output = Some(domain::change_domain(txn, &request.input).await?);
        }
        WriteOp::RevokeWaiting(request) => {
            request.output = Some(domain::revoke_waiting(txn, &request.input).await?);
        }
        WriteOp::RemoveApp(request) => {
            request.output = Some(remove::remove_app(txn, request.input).await?);
        }
        WriteOp::EraseUser(request) => {
            request.output = Some(remove::erase_user(txn, request.input).await?);
        }
        WriteOp::Expire(request) => {
            request.output = Some(remove::expire(txn, request.input).await?);
        }
    }
    Ok(())
}
