//! The writer: many clients send requests to one task, which commits those that have gathered in
//! one transaction, and replies after the commit.
//!
//! This is the handle. A method has submitted its request when it returns, so requests keep their
//! order. It returns the reply to wait for.
//!
//! The modules in reading order, each of which uses only those below it.

pub(crate) mod task;

mod inbox;

mod group_locks;
mod write_op;

pub(crate) mod change;
mod domain;
pub(crate) mod load;
pub(crate) mod notify;
mod remove;
mod settle;

mod plan;

mod insertion;
mod senders;
mod sequence;
mod target;
mod write_txn;

mod noted;

pub(crate) mod request;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use presence_core::model::{Grant, Settlement, UserId};
use presence_core::{Clock, UnixMillis};
use presence_protocol::app::QueuedNotification;
use presence_protocol::{AppId, NotificationId, Puid};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, Sender};

use crate::apps::NewDomain;
use crate::commit_hook::CommitHook;
use crate::error::StoreError;
use crate::store::Store;
use change::{GrantError, GrantInput, GrantOutcome, PauseInput};
use domain::DomainInput;
use inbox::Inbox;
use load::LoadedUser;
use noted::NotedSettlements;
use notify::{NewNotification, NotifyError, NotifyInput};
use request::{WriteReply, WriteRequest};
use settle::SettleInput;
use task::WriterTask;
use write_op::WriteOp;

/// The handle of the writer. Clones share it. The task ends when the last one is dropped.
///
/// Every reply may be an error. Then nothing of that request was done: `QueueFull` if 8,192
/// requests wait already, `Stopped` if the task has ended, `Unavailable` if the database failed.
/// It is not known only after `TooLate`, since its commit may have begun before the deadline, and
/// after `Unavailable` of a database that servers share, if it did not answer to the commit.
#[derive(Clone)]
pub struct Writer {
    ops: Sender<WriteOp>,
    /// The loads, which need no write and do not wait for one.
    loads: Sender<WriteOp>,
    noted: Arc<NotedSettlements>,
    /// The time for which a call may wait.
    deadline: Duration,
    /// The maximum number of grants of a user.
    max_grants: u64,
    /// Set if several servers share presence.
    is_shared: bool,
}

impl Writer {
    /// The maximum number of waiting requests. One more gets `QueueFull`.
    pub const CAPACITY: usize = 8192;
    /// The default maximum number of grants of a user.
    pub const MAX_GRANTS: u64 = 500;

    /// Creates the writer of a store, and its task, which the caller spawns. A store must have one
    /// writer only.
    pub fn new(
        store: &Store,
        hook: Arc<dyn CommitHook>,
        clock: Arc<dyn Clock>,
    ) -> (Self, WriterTask) {
        let (ops, writes) = mpsc::channel(Self::CAPACITY);
        let (loads, reads) = mpsc::channel(Self::CAPACITY);
        let (deadline, max_grants) = (store.deadline(), Self::MAX_GRANTS);
        let noted = Arc::new(NotedSettlements::default());
        let inbox = Inbox { writes, loads: reads, noted: Arc::clone(&noted) };
        let task = WriterTask::new(store.clone(), inbox, hook, clock);
        let is_shared = store.live().is_some();
        (Self { ops, loads, noted, deadline, max_grants, is_shared }, task)
    }

    /// Sets the maximum number of grants of a user.
    #[must_use]
    pub fn with_max_grants(self, max_grants: u64) -> Self {
        Self { max_grants, ..self }
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

    /// Notes that a device of a user has taken notifications. They are written with those of all
    /// other users, by [`Writer::expire`]. Until then, [`Writer::load`] leaves them out. Returns
    /// false if too many are noted, or if several servers share presence: then they are to be
    /// settled at once.
    #[must_use]
    pub fn note_settled(
        &self,
        user: UserId,
        ids: &[NotificationId],
        settlement: Settlement,
    ) -> bool {
        // Other servers must know at once what was taken.
        !self.is_shared && self.noted.note(user, ids, settlement)
    }

    /// Returns the ids of the notifications of a user whose settlement is noted.
    pub fn noted(&self, user: UserId) -> HashSet<String> {
        self.noted.ids_of(user)
    }

    /// Writes what is noted of a user now. Returns `None` if there is nothing.
    pub fn write_noted(&self, user: UserId) -> Option<WriteReply<()>> {
        self.noted.has(user).then(|| self.submit(user, WriteOp::WriteNoted))
    }

    /// Settles notifications that a device of a user has taken, at once. The reply is the number of
    /// those that were pending. Others are ignored.
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
        self.submit_to(&self.loads, user, WriteOp::Load)
    }

    /// Grants an Application with this domain access to a user under a new random PUID. An existing
    /// grant keeps its PUID.
    pub fn grant(
        &self,
        user: UserId,
        (app, domain): (AppId, &str),
        puid: Puid,
        now: UnixMillis,
    ) -> WriteReply<Result<GrantOutcome, GrantError>> {
        let (domain, limit) = (domain.to_owned(), self.max_grants);
        self.submit(GrantInput { user, app, domain, puid, now, limit }, WriteOp::Grant)
    }

    /// Changes the domain of an Application, which has to be verified. Its grants wait until the
    /// users agree again, except those for the new domain. The reply is false if there is no such
    /// Application.
    pub fn change_domain(&self, app: AppId, domain: NewDomain) -> WriteReply<bool> {
        let input = DomainInput { app, domain, connected: Vec::new() };
        self.submit(input, WriteOp::ChangeDomain)
    }

    /// Ends at most 100 grants that have waited for 90 days. The reply is their number.
    pub fn revoke_waiting(&self) -> WriteReply<usize> {
        self.submit(Vec::new(), WriteOp::RevokeWaiting)
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

    /// Writes the noted settlements, then drops at most 500 expired notifications. The reply is the
    /// number of these.
    pub fn expire(&self) -> WriteReply<usize> {
        self.submit(false, WriteOp::Expire)
    }

    /// Returns the number of waiting requests.
    pub fn waiting(&self) -> usize {
        let waiting = |queue: &Sender<WriteOp>| queue.max_capacity() - queue.capacity();
        waiting(&self.ops) + waiting(&self.loads)
    }

    fn submit<I, O>(
        &self,
        input: I,
        op: impl FnOnce(WriteRequest<I, O>) -> WriteOp,
    ) -> WriteReply<O> {
        self.submit_to(&self.ops, input, op)
    }

    fn submit_to<I, O>(
        &self,
        queue: &Sender<WriteOp>,
        input: I,
        op: impl FnOnce(WriteRequest<I, O>) -> WriteOp,
    ) -> WriteReply<O> {
        let (request, reply) = WriteRequest::new(input, self.deadline);
        match queue.try_send(op(request)) {
            Ok(()) => reply,
            Err(TrySendError::Full(_)) => WriteReply::rejected(StoreError::QueueFull),
            Err(TrySendError::Closed(_)) => WriteReply::rejected(StoreError::Stopped),
        }
    }
}
