//! The schedule of releases: batches, and retries after failures.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use presence_core::ManualClock;
use presence_core::model::UserId;
use presence_protocol::{AppId, Puid};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::fixture::{APP, Fixture, NOW};
use crate::{CommitHook, CommittedEvent, Writer};

/// A hook with a queue of releases, to which failed ones return.
#[derive(Default)]
struct ReleaseHook {
    queue: Mutex<VecDeque<(AppId, Puid)>>,
    /// The sizes of the batches that the writer took.
    batches: Mutex<Vec<usize>>,
    signal: Notify,
}

impl CommitHook for ReleaseHook {
    fn grants_with_immediate_receipts(&self, _: UserId) -> Vec<Puid> {
        Vec::new()
    }

    fn is_reachable(&self, _: AppId, _: Puid, _: UserId) -> bool {
        false
    }

    fn take_releases(&self, limit: usize) -> Vec<(AppId, Puid)> {
        let mut queue = self.queue.lock().unwrap();
        let size = queue.len().min(limit);
        if size > 0 {
            self.batches.lock().unwrap().push(size);
        }
        queue.drain(..size).collect()
    }

    fn releases_failed(&self, grants: Vec<(AppId, Puid)>) {
        self.queue.lock().unwrap().extend(grants);
    }

    fn release_signal(&self) -> &Notify {
        &self.signal
    }

    fn committed(&self, _: &[CommittedEvent]) {}
}

impl ReleaseHook {
    fn batches(&self) -> Vec<usize> {
        self.batches.lock().unwrap().clone()
    }
}

/// Starts a writer with 250 releases to do, and wakes it once.
fn start(fixture: &Fixture) -> (Arc<ReleaseHook>, Writer, JoinSet<()>) {
    let hook = Arc::new(ReleaseHook::default());
    hook.queue.lock().unwrap().extend((0..250).map(|n| (APP, Puid::from_bits(n))));
    let clock = Arc::new(ManualClock::new(NOW));
    let (writer, task) = Writer::new(&fixture.store, Arc::<ReleaseHook>::clone(&hook), clock);
    let mut tasks = JoinSet::new();
    tasks.spawn(task.run());
    hook.signal.notify_one();
    (hook, writer, tasks)
}

/// Lets the writer run until it has taken so many batches, for at most ten seconds.
async fn wait_for_batches(hook: &ReleaseHook, count: usize) {
    let is_taken = async {
        while hook.batches().len() < count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), is_taken).await.unwrap();
}

#[tokio::test]
async fn releases_are_committed_in_batches_until_none_is_left() {
    let fixture = Fixture::new().await;
    let (hook, _writer, _tasks) = start(&fixture);
    wait_for_batches(&hook, 3).await;
    assert_eq!(hook.batches(), [100, 100, 50]);
}

#[tokio::test]
async fn failed_releases_are_repeated_with_the_next_write_only_and_do_not_delay_loads() {
    let fixture = Fixture::new().await;
    fixture.refuse_writes(true).await;
    let (hook, writer, _tasks) = start(&fixture);
    wait_for_batches(&hook, 1).await;
    for _ in 0..10 {
        writer.load(UserId(1)).await.unwrap();
        hook.signal.notify_one();
    }
    assert_eq!(hook.batches(), [100], "a failed release is not repeated at once");
    assert!(writer.expire().await.is_err());
    writer.load(UserId(1)).await.unwrap();
    assert_eq!(hook.batches(), [100, 100]);

    fixture.refuse_writes(false).await;
    writer.expire().await.unwrap();
    wait_for_batches(&hook, 5).await;
    assert_eq!(hook.batches(), [100, 100, 100, 100, 50]);
}
