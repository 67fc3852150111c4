//! The supervision of the tasks that run as long as the server.
//!
//! A task that all clients need ends the server if it ends: the server then stops with an error, so
//! that it is started again, and no client is served by half a server. A task that can begin anew
//! is restarted. The health check asks each of them whether it still runs.

mod probe;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::probe::{Answerer, Probe, probe};

/// The time in which a task must answer that it runs.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// The pause before a task is restarted.
const RESTART_DELAY: Duration = Duration::from_secs(1);

/// The long-lived tasks of the server. Clones share them.
#[derive(Clone)]
pub struct Supervisor(Arc<Supervised>);

struct Supervised {
    tasks: TaskTracker,
    /// Cancelled when the server stops. A task may end from then on.
    stop: CancellationToken,
    probes: Mutex<Vec<(&'static str, Probe)>>,
    /// The first task that ended although the server needs it.
    failure: OnceLock<&'static str>,
    failed: CancellationToken,
}

impl Supervisor {
    /// Returns a supervisor without tasks. They may end once `stop` is cancelled.
    pub fn new(stop: CancellationToken) -> Self {
        Self(Arc::new(Supervised {
            tasks: TaskTracker::new(),
            stop,
            probes: Mutex::default(),
            failure: OnceLock::new(),
            failed: CancellationToken::new(),
        }))
    }

    /// Runs a task without which the server is of no use.
    pub(crate) fn spawn_required(
        &self,
        name: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        let (answerer, supervisor) = (self.add(name), self.clone());
        let work = Box::pin(work);
        self.0.tasks.spawn(async move {
            let panicked = run_caught(&answerer, work).await;
            if panicked || !supervisor.0.stop.is_cancelled() {
                supervisor.fail(name, panicked);
            }
        });
    }

    /// Runs a task that begins anew after a panic.
    pub(crate) fn spawn_restarted<F: Future<Output = ()> + Send + 'static>(
        &self,
        name: &'static str,
        mut start: impl FnMut() -> F + Send + 'static,
    ) {
        let (answerer, stop) = (self.add(name), self.0.stop.clone());
        self.0.tasks.spawn(async move {
            loop {
                let panicked = run_caught(&answerer, Box::pin(start())).await;
                if !panicked && stop.is_cancelled() {
                    return;
                }
                tracing::error!(task = name, panicked, "task.restarted");
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(RESTART_DELAY) => {}
                }
            }
        });
    }

    /// Asks each task whether it runs. Returns the answers by name.
    pub async fn check(&self) -> BTreeMap<&'static str, bool> {
        let probes = self.probes().clone();
        let answers = probes.iter().map(|(name, probe)| async move {
            let answer = tokio::time::timeout(ANSWER_TIMEOUT, probe.ask()).await;
            (*name, answer.unwrap_or(false))
        });
        join_all(answers).await.into_iter().collect()
    }

    /// Waits until the server cannot go on, because a task has ended that it needs.
    pub(crate) async fn failed(&self) {
        self.0.failed.cancelled().await;
    }

    /// Returns the name of the first task that ended although the server needs it.
    pub(crate) fn failure(&self) -> Option<&'static str> {
        self.0.failure.get().copied()
    }

    /// Waits until all tasks have ended.
    pub(crate) async fn wait(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    fn add(&self, name: &'static str) -> Answerer {
        let (probe, answerer) = probe();
        self.probes().push((name, probe));
        answerer
    }

    fn fail(&self, name: &'static str, panicked: bool) {
        tracing::error!(task = name, panicked, "task.ended: the server stops");
        self.0.failure.get_or_init(|| name);
        self.0.failed.cancel();
    }

    fn probes(&self) -> MutexGuard<'_, Vec<(&'static str, Probe)>> {
        self.0.probes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the work of a task. Returns true if it panicked.
async fn run_caught(answerer: &Answerer, work: impl Future<Output = ()> + Unpin) -> bool {
    AssertUnwindSafe(answerer.answer_during(work)).catch_unwind().await.is_err()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn supervisor() -> (Supervisor, CancellationToken) {
        let stop = CancellationToken::new();
        (Supervisor::new(stop.clone()), stop)
    }

    #[tokio::test]
    async fn a_needed_task_that_panics_stops_the_server_and_is_named() {
        let (supervisor, _stop) = supervisor();
        supervisor.spawn_required("idle", std::future::pending());
        supervisor.spawn_required("writer", async { panic!("a fault in the writer") });
        tokio::time::timeout(PATIENCE, supervisor.failed()).await.unwrap();
        assert_eq!(supervisor.failure(), Some("writer"));
        assert_eq!(supervisor.check().await, BTreeMap::from([("idle", true), ("writer", false)]));
    }

    #[tokio::test]
    async fn a_needed_task_may_end_only_after_the_server_was_asked_to_stop() {
        let (supervisor, stop) = supervisor();
        supervisor.spawn_required("early", async {});
        tokio::time::timeout(PATIENCE, supervisor.failed()).await.unwrap();
        assert_eq!(supervisor.failure(), Some("early"));

        let (supervisor, stopped) = (Supervisor::new(stop.clone()), stop.clone());
        supervisor.spawn_required("in time", async move { stopped.cancelled().await });
        stop.cancel();
        tokio::time::timeout(PATIENCE, supervisor.wait()).await.unwrap();
        assert_eq!(supervisor.failure(), None);
    }

    #[tokio::test]
    async fn a_task_that_can_begin_anew_is_restarted_after_a_panic() {
        let (supervisor, stop) = supervisor();
        let (runs, restarted) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let (counted, signal) = (Arc::clone(&runs), Arc::clone(&restarted));
        let stopped = stop.clone();
        supervisor.spawn_restarted("upkeep", move || {
            let (run, signal) = (counted.fetch_add(1, Ordering::SeqCst), Arc::clone(&signal));
            let stopped = stopped.clone();
            async move {
                assert!(run > 0, "a fault in the first run");
                signal.notify_one();
                stopped.cancelled().await;
            }
        });
        tokio::time::timeout(PATIENCE, restarted.notified()).await.unwrap();
        assert_eq!(runs.load(Ordering::SeqCst), 2);
        assert_eq!(supervisor.failure(), None);
        assert_eq!(supervisor.check().await, BTreeMap::from([("upkeep", true)]));
        stop.cancel();
        supervisor.wait().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_task_that_is_stuck_does_not_answer() {
        let (supervisor, _stop) = supervisor();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let (started, is_started) = tokio::sync::oneshot::channel();
        supervisor.spawn_required("stuck", async move {
            started.send(()).unwrap();
            released.recv().ok();
            std::future::pending::<()>().await;
        });
        is_started.await.unwrap();
        assert_eq!(supervisor.check().await, BTreeMap::from([("stuck", false)]));
        drop(release);
        let answers = async { while !supervisor.check().await["stuck"] {} };
        tokio::time::timeout(PATIENCE, answers).await.unwrap();
    }

    #[tokio::test]
    async fn many_checks_at_once_are_all_answered() {
        let (supervisor, _stop) = supervisor();
        supervisor.spawn_required("idle", std::future::pending());
        let checks = join_all((0..1000).map(|_| supervisor.check())).await;
        assert!(checks.iter().all(|answers| answers["idle"]));
    }
}
