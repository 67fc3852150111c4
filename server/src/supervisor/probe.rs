//! The question to a task whether it still runs, and its answer.
//!
//! Any number of questions at the same time get one answer, so that they need no queue.

use std::pin::pin;
use std::sync::Arc;

use tokio::sync::{Notify, watch};

/// Returns the side that asks, and the side of the task.
pub(super) fn probe() -> (Probe, Answerer) {
    let asked = Arc::new(Notify::new());
    let (answers, answered) = watch::channel(());
    (Probe { asked: Arc::clone(&asked), answered }, Answerer { asked, answers })
}

/// The side that asks.
#[derive(Clone)]
pub(super) struct Probe {
    asked: Arc<Notify>,
    answered: watch::Receiver<()>,
}

impl Probe {
    /// Asks the task. Returns false once the task has ended, and nothing while it is stuck.
    pub(super) async fn ask(&self) -> bool {
        let mut answered = self.answered.clone();
        answered.mark_unchanged();
        self.asked.notify_one();
        answered.changed().await.is_ok()
    }
}

/// The side of the task. Dropping it says that the task has ended.
pub(super) struct Answerer {
    asked: Arc<Notify>,
    answers: watch::Sender<()>,
}

impl Answerer {
    /// Runs the work of the task, and answers whenever the work lets others run.
    pub(super) async fn answer_during(&self, work: impl Future<Output = ()>) {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                () = &mut work => return,
                () = self.asked.notified() => self.answers.send_modify(|()| {}),
            }
        }
    }
}
