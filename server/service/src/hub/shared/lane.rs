//! The changes of rosters that wait to be written, many at a time.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use presence_core::UserId;
use presence_store::StoreError;
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
}

/// The changes that wait.
#[derive(Default)]
pub(super) struct Lane {
    waiting: Mutex<VecDeque<Waiting>>,
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
        let may_wait = matches!(change, Change::Disconnect { .. }) || waiting.len() < MAX_WAITING;
        if may_wait {
            waiting.push_back(Waiting { user, change, reply });
            drop(waiting);
            self.signal.notify_one();
        } else {
            drop(reply.send(Err(StoreError::QueueFull)));
        }
        receiver
    }

    /// Returns true while the database fails: changes wait for its return.
    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Returns true if no change waits.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Records whether the database fails.
    pub(super) fn set_failing(&self, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
    }

    /// Takes the changes of a batch.
    pub(super) fn take(&self) -> Vec<Waiting> {
        let mut waiting = self.lock();
        let count = waiting.len().min(MAX_BATCH);
        waiting.drain(..count).collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
