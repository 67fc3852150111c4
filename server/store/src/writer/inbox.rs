//! The requests that wait for the writer's task.

use std::sync::Arc;

use tokio::sync::mpsc::Receiver;

use super::noted::NotedSettlements;
use super::write_op::WriteOp;

/// About the maximum number of rows in a transaction.
const GROUP_ROWS: usize = 5000;

/// The requests that wait. Loads have a queue of their own, so that they do not wait for writes
/// while another process holds the lock of the database.
pub(super) struct Inbox {
    pub(super) writes: Receiver<WriteOp>,
    pub(super) loads: Receiver<WriteOp>,
    pub(super) noted: Arc<NotedSettlements>,
}

impl Inbox {
    /// Waits for a request. Returns `None` if there will be no more.
    pub(super) async fn recv(&mut self) -> Option<WriteOp> {
        tokio::select! {
            biased;
            Some(op) = self.writes.recv() => Some(op),
            Some(op) = self.loads.recv() => Some(op),
            else => None,
        }
    }

    /// Returns the number of waiting requests.
    pub(super) fn len(&self) -> usize {
        self.writes.len() + self.loads.len()
    }

    /// Takes the requests of the next group. Loads come last, so that they see what the group has
    /// written.
    pub(super) fn take_group(&mut self, first: Option<WriteOp>, limit: usize) -> Vec<WriteOp> {
        let (mut loads, mut group): (Vec<_>, Vec<_>) =
            first.into_iter().partition(WriteOp::is_read_only);
        let mut weight: usize = group.iter().map(WriteOp::weight).sum();
        while group.len() + loads.len() < limit && weight < GROUP_ROWS {
            let Ok(next) = self.writes.try_recv() else { break };
            weight += next.weight();
            group.push(next);
        }
        loads.extend(self.take_loads(limit.saturating_sub(group.len() + loads.len())));
        group.append(&mut loads);
        group
    }

    /// Takes at most `limit` loads.
    pub(super) fn take_loads(&mut self, limit: usize) -> impl Iterator<Item = WriteOp> {
        std::iter::from_fn(|| self.loads.try_recv().ok()).take(limit)
    }
}
