//! The writer: many clients send requests to one task, which commits those that have gathered in
//! one transaction, and replies after the commit.
//!
//! This is the handle. A method has submitted its request when it returns, so requests keep their
//! order. It returns the reply to wait for.
//!
//! The modules in reading order, each of which uses only those below it.

pub(crate) mod task;

mod write_op;

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
use change::{GrantInput, GrantOutcome, PauseInput};
use commit_hook::CommitHook;
use load::LoadedUser;
use notify::{NewNotification, NotifyError, NotifyInput};
use request::{WriteReply, WriteRequest};
use settle::SettleInput;
use task::WriterTask;
use write_op::WriteOp;

/// The handle of the writer. Clones share it. The task ends when the last one is dropped.
///
/// Every reply may be an error, and then nothing of that request was done: `QueueFull` if 8,192
/// requests wait already, `Stopped` if the task has ended, `Unavailable` if the database failed.
#[derive(Clone)]
pub struct Writer {
    ops: Sender<WriteOp>,
}

impl Writer {
    /// The maximum number of waiting requests. One more gets `QueueFull`.
    pub const CAPACITY: usize = 8192;

    /// Creates the writer of a store, and its task, which the caller spawns. A store must have one
    /// writer only.
    pub fn new(
        store: &Store,
        hook: Arc<dyn CommitHook>,
        clock: Arc<dyn Clock>,
    ) -> (Self, WriterTask) {
        let (ops, inbox) = mpsc::channel(Self::CAPACITY);
        (Self { ops }, WriterTask::new(store.clone(), inbox, hook, clock))
    }

    /// Queues at most 500 notifications of an Application, independently of each other. The reply
    /// has one result for each, in order. An `Ok` is durable.
    pub fn notify(
        &self,
        app: AppId,
        items: Vec<NewNotification>,
    ) -> WriteReply<Vec<Result<QueuedNotification, NotifyError>>> {
        self.submit(NotifyInput { app, items, reachable: Vec::new() }, WriteOp::Notify)
    }

    /// Settles notifications that a device of a user has taken. The reply is the number of those
    /// that were pending. Others are ignored.
    pub fn settle(
        &self,
        user: UserId,
        ids: Vec<NotificationId>,
        settlement: Settlement,
    ) -> WriteReply<usize> {
        let input = SettleInput { user, ids, settlement, immediate: Vec::new() };
        self.submit(input, WriteOp::Settle)
    }

    /// Loads what a device of a user needs when it connects. This works also while the database
    /// cannot be written. A user who does not exist has nothing, at revision 0.
    pub fn load(&self, user: UserId) -> WriteReply<LoadedUser> {
        self.submit(user, WriteOp::Load)
    }

    /// Grants an Application access to a user under a new random PUID. An existing grant keeps its
    /// PUID. The reply is `None` if there is no such Application or user.
    pub fn grant(
        &self,
        user: UserId,
        app: AppId,
        puid: Puid,
        now: UnixMillis,
    ) -> WriteReply<Option<GrantOutcome>> {
        self.submit(GrantInput { user, app, puid, now }, WriteOp::Grant)
    }

    /// Pauses or resumes a grant. The reply is the grant after it. A repetition changes nothing.
    pub fn pause(&self, user: UserId, app: AppId, paused: bool) -> WriteReply<Option<Grant>> {
        self.submit(PauseInput { user, app, paused }, WriteOp::Pause)
    }

    /// Ends a grant, and deletes its queue. The reply is the grant before it.
    pub fn revoke(&self, user: UserId, app: AppId) -> WriteReply<Option<Grant>> {
        self.submit((user, app), WriteOp::Revoke)
    }

    /// Removes an Application with its keys, grants and queues. The reply is false if there is no
    /// such Application.
    pub fn remove_app(&self, app: AppId) -> WriteReply<bool> {
        self.submit(app, WriteOp::RemoveApp)
    }

    /// Erases a user with all data and Applications. The reply is false if there is no such user.
    pub fn erase_user(&self, user: UserId) -> WriteReply<bool> {
        self.submit(user, WriteOp::EraseUser)
    }

    /// Drops at most 500 expired notifications. The reply is their number.
    pub fn expire(&self) -> WriteReply<usize> {
        self.submit((), WriteOp::Expire)
    }

    /// Returns the number of waiting requests.
    pub fn waiting(&self) -> usize {
        self.ops.max_capacity() - self.ops.capacity()
    }

    fn submit<I, O>(
        &self,
        input: I,
        op: impl FnOnce(WriteRequest<I, O>) -> WriteOp,
    ) -> WriteReply<O> {
        let (request, reply) = WriteRequest::new(input);
        match self.ops.try_send(op(request)) {
            Ok(()) => reply,
            Err(TrySendError::Full(_)) => WriteReply::rejected(StoreError::QueueFull),
            Err(TrySendError::Closed(_)) => WriteReply::rejected(StoreError::Stopped),
        }
    }
}
