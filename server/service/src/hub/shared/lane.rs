//! The changes of rosters that wait to be written, many at a time.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use presence_core::UserId;
use presence_store::{SharedRoster, StoreError};
use tokio::sync::{Notify, oneshot};

use super::change::{Change, Outcome};

/// The maximum number of changes of a batch.
const MAX_BATCH: usize = 512;
/// The maximum number of changes that wait. Further ones of devices are refused.
const MAX_WAITING: usize = 200_000;

/// The way to the caller of a change.
type Reply = oneshot::Sender<Result<Outcome, StoreError>>;

/// A change that waits.
pub(super) struct Waiting {
    pub(super) user: UserId,
    pub(super) change: Change,
    pub(super) reply: Reply,
    /// The outcome of an attempt of which it is not known whether it was committed.
    pub(super) earlier: Option<Outcome>,
}

impl Waiting {
    /// Returns true if it connects a device whose socket is gone. Made late, it would replace a
    /// newer connection at another server.
    pub(super) fn is_abandoned(&self) -> bool {
        matches!(self.change, Change::Connect { .. }) && self.reply.is_closed()
    }

    /// Returns the roster with the connections to be put back, if this is such a change. It is the
    /// given one at first.
    pub(super) fn begin_restore(&mut self, roster: &SharedRoster) -> Option<&SharedRoster> {
        let Change::Restore { earlier, .. } = &mut self.change else { return None };
        Some(earlier.get_or_insert_with(|| Box::new(roster.clone())))
    }
}

/// The changes in the order in which they are made.
#[derive(Default)]
struct Queue {
    /// Those that put connections back, before which no other change of the user makes sense. There
    /// are no more than users with a connection.
    restores: VecDeque<Waiting>,
    others: VecDeque<Waiting>,
    /// Set while a batch is being written.
    is_writing: bool,
}

/// The changes that wait.
#[derive(Default)]
pub(super) struct Lane {
    waiting: Mutex<Queue>,
    pub(super) signal: Notify,
    /// Set while the database fails.
    failing: AtomicBool,
}

impl Lane {
    /// Submits a change. Changes of one user keep their order.
    pub(super) fn submit(
        &self,
        user: UserId,
        change: Change,
    ) -> oneshot::Receiver<Result<Outcome, StoreError>> {
        let (reply, receiver) = oneshot::channel();
        let mut waiting = self.lock();
        // The end of a connection must not be lost, and there are no more than connections.
        let may_wait =
            matches!(change, Change::Disconnect { .. }) || waiting.others.len() < MAX_WAITING;
        if matches!(change, Change::Restore { .. }) {
            waiting.restores.push_back(Waiting { user, change, reply, earlier: None });
        } else if may_wait {
            waiting.others.push_back(Waiting { user, change, reply, earlier: None });
        } else {
            drop(reply.send(Err(StoreError::QueueFull)));
        }
        drop(waiting);
        self.signal.notify_one();
        receiver
    }

    /// Gives changes back that were taken for a batch, those of each user in their order.
    pub(super) fn put_back(&self, changes: Vec<Waiting>) {
        let mut waiting = self.lock();
        for change in changes.into_iter().rev() {
            let is_restore = matches!(change.change, Change::Restore { .. });
            let Queue { restores, others, .. } = &mut *waiting;
            if is_restore { restores.push_front(change) } else { others.push_front(change) }
        }
        drop(waiting);
        self.signal.notify_one();
    }

    /// Returns true if connections wait to be put back.
    pub(super) fn has_restores(&self) -> bool {
        !self.lock().restores.is_empty()
    }

    /// Returns true while the database fails: changes wait for its return.
    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Returns true if no change waits or is being written.
    pub(super) fn is_empty(&self) -> bool {
        let waiting = self.lock();
        waiting.restores.is_empty() && waiting.others.is_empty() && !waiting.is_writing
    }

    /// Records whether the database fails.
    pub(super) fn set_failing(&self, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
    }

    /// Takes the changes of a batch.
    pub(super) fn take(&self) -> Vec<Waiting> {
        let mut waiting = self.lock();
        let Queue { restores, others, is_writing } = &mut *waiting;
        *is_writing = !restores.is_empty() || !others.is_empty();
        let first = restores.len().min(MAX_BATCH);
        // Others wait for all connections that are put back.
        let count = if first < restores.len() { 0 } else { others.len().min(MAX_BATCH - first) };
        restores.drain(..first).chain(others.drain(..count)).collect()
    }

    /// Records that a batch was written, or put back.
    pub(super) fn end_batch(&self) {
        self.lock().is_writing = false;
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
