//! The group-commit writer: all that many senders want written goes to one task, which commits what has gathered
//! in one transaction and answers everyone after the commit.
//!
//! This is the handle. A method has submitted what it is asked for once it returns, so calls keep their order; what
//! it returns is the answer to wait for. Dropping an answer does not take back what was submitted.
//!
//! The modules in reading order; each uses only those below it.

pub(crate) mod task;

mod op;

pub(crate) mod change;
pub(crate) mod load;
pub(crate) mod notify;
mod remove;
mod settle;

mod plan;

mod target;
mod write_txn;

pub(crate) mod commit_hook;
pub(crate) mod request;

use std::sync::Arc;

use presence_core::model::{Grant, Settlement, UserId};
use presence_core::{Clock, UnixMillis};
use presence_protocol::app::QueuedNotification;
use presence_protocol::{AppId, NotificationId, Puid};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, Sender};

use crate::error::StoreError;
use crate::store::Store;
use change::{GrantOutcome, GrantQuestion, PauseQuestion};
use commit_hook::CommitHook;
use load::LoadedUser;
use notify::{NewNotification, NotifyError, NotifyQuestion};
use op::Op;
use request::{WriteReply, WriteRequest};
use settle::SettleQuestion;
use task::WriterTask;

/// The handle of the writer. Clones share it; the task ends when the last one is gone.
///
/// Every answer may be an error: `QueueFull` where 8,192 requests wait already, `Stopped` where the task has ended,
/// `Unavailable` where the database failed. Then nothing of that request was done.
#[derive(Clone)]
pub struct Writer {
    ops: Sender<Op>,
}

impl Writer {
    /// How many requests may wait. One more is refused with `QueueFull`.
    pub const CAPACITY: usize = 8192;

    /// The writer of a store, and the task that the caller is to spawn. One store must have one writer only.
    pub fn new(
        store: &Store,
        observer: Arc<dyn CommitHook>,
        clock: Arc<dyn Clock>,
    ) -> (Self, WriterTask) {
        let (ops, inbox) = mpsc::channel(Self::CAPACITY);
        (Self { ops }, WriterTask::new(store.clone(), inbox, observer, clock))
    }

    /// Queues notifications of an Application, at most 500, each by itself: one answer an item, in order. An `Ok`
    /// is durable.
    pub fn notify(
        &self,
        app: AppId,
        items: Vec<NewNotification>,
    ) -> WriteReply<Vec<Result<QueuedNotification, NotifyError>>> {
        self.submit(NotifyQuestion { app, items }, Op::Notify)
    }

    /// A device of a user took notifications. Answers how many of them were pending; others are ignored.
    pub fn settle(
        &self,
        user: UserId,
        ids: Vec<NotificationId>,
        how: Settlement,
    ) -> WriteReply<usize> {
        self.submit(SettleQuestion { user, ids, how }, Op::Settle)
    }

    /// An Application sees a user again: the receipts withheld from it are due. Answers how many.
    pub fn release(&self, app: AppId, puid: Puid) -> WriteReply<usize> {
        self.submit((app, puid), Op::Release)
    }

    /// What a user's device needs on connecting. Works also while nothing can be written. A user who is not there
    /// has nothing, at revision 0.
    pub fn load(&self, user: UserId) -> WriteReply<LoadedUser> {
        self.submit(user, Op::Load)
    }

    /// Lets an Application see a user under a fresh random PUID, or under the one it has already. `None` where
    /// there is no such Application or user.
    pub fn grant(
        &self,
        user: UserId,
        app: AppId,
        puid: Puid,
        now: UnixMillis,
    ) -> WriteReply<Option<GrantOutcome>> {
        self.submit(GrantQuestion { user, app, puid, now }, Op::Grant)
    }

    /// Pauses or resumes a grant, and answers it as it is then; doing so twice is harmless.
    pub fn pause(&self, user: UserId, app: AppId, paused: bool) -> WriteReply<Option<Grant>> {
        self.submit(PauseQuestion { user, app, paused }, Op::Pause)
    }

    /// Ends a grant and empties its queue. Answers the grant that was.
    pub fn revoke(&self, user: UserId, app: AppId) -> WriteReply<Option<Grant>> {
        self.submit((user, app), Op::Revoke)
    }

    /// Removes an Application with its keys, grants and queues. False where there is none.
    pub fn remove_app(&self, app: AppId) -> WriteReply<bool> {
        self.submit(app, Op::RemoveApp)
    }

    /// Erases a user with everything held, the user's own Applications too. False where there is none.
    pub fn erase_user(&self, user: UserId) -> WriteReply<bool> {
        self.submit(user, Op::EraseUser)
    }

    /// Drops notifications whose time has run out, at most 500. Answers how many.
    pub fn expire(&self) -> WriteReply<usize> {
        self.submit((), Op::Expire)
    }

    /// How many requests wait.
    pub fn waiting(&self) -> usize {
        self.ops.max_capacity() - self.ops.capacity()
    }

    fn submit<Q, A>(
        &self,
        question: Q,
        op: impl FnOnce(WriteRequest<Q, A>) -> Op,
    ) -> WriteReply<A> {
        let (ask, answer) = WriteRequest::new(question);
        match self.ops.try_send(op(ask)) {
            Ok(()) => answer,
            Err(TrySendError::Full(_)) => WriteReply::refused(StoreError::QueueFull),
            Err(TrySendError::Closed(_)) => WriteReply::refused(StoreError::Stopped),
        }
    }
}
