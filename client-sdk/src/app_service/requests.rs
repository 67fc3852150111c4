//! Requests that wait for their answers, over reconnects.

use std::collections::BTreeMap;

use presence_protocol::app::client::{notify, query};
use presence_protocol::app::{NotifyItem, QueryResult, QueuedNotification};
use presence_protocol::{ApiError, Puid};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::error::Error;

/// What is asked.
#[derive(Debug)]
pub(super) enum Question {
    Notify(Vec<NotifyItem>),
    Query(Vec<Puid>),
}

/// What is answered.
#[derive(Debug)]
pub(super) enum Answer {
    Notified(Vec<Result<QueuedNotification, ApiError>>),
    Queried(Vec<QueryResult>),
}

struct Waiting {
    question: Question,
    reply: oneshot::Sender<Result<Answer, Error>>,
    is_sent: bool,
    held_until: Option<Instant>,
}

/// All requests without an answer, by their ids, which tell their order. How many there are is bounded by whoever makes them.
#[derive(Default)]
pub(super) struct Requests {
    waiting: BTreeMap<u64, Waiting>,
    last_id: u64,
}

impl Requests {
    pub(super) fn ask(
        &mut self,
        question: Question,
    ) -> (u64, oneshot::Receiver<Result<Answer, Error>>) {
        let (reply, answer) = oneshot::channel();
        self.last_id += 1;
        let waiting = Waiting { question, reply, is_sent: false, held_until: None };
        self.waiting.insert(self.last_id, waiting);
        (self.last_id, answer)
    }

    /// Nobody waits for it any more.
    pub(super) fn forget(&mut self, id: u64) {
        self.waiting.remove(&id);
    }

    /// The next frame to be sent. Each keeps its id, and each notification its idempotency key, so that sending one again
    /// after a reconnect does nothing twice.
    pub(super) fn next_frame(&mut self, now: Instant) -> Option<String> {
        let (id, waiting) = self
            .waiting
            .iter_mut()
            .find(|(_, w)| !w.is_sent && w.held_until.is_none_or(|until| now >= until))?;
        waiting.is_sent = true;
        Some(match &waiting.question {
            Question::Notify(items) => notify(*id, items),
            Question::Query(uids) => query(*id, uids),
        })
    }

    pub(super) fn wakes_at(&self) -> Option<Instant> {
        self.waiting.values().filter(|w| !w.is_sent).filter_map(|w| w.held_until).min()
    }

    pub(super) fn answer(&mut self, id: Option<u64>, answer: Answer) {
        self.settle(id, Ok(answer));
    }

    pub(super) fn refuse(&mut self, id: Option<u64>, error: Error) {
        self.settle(id, Err(error));
    }

    /// Asks again later, on the same socket.
    pub(super) fn hold(&mut self, id: Option<u64>, until: Instant) {
        if let Some(waiting) = id.and_then(|id| self.waiting.get_mut(&id)) {
            waiting.is_sent = false;
            waiting.held_until = Some(until);
        }
    }

    /// A new socket has heard nothing yet.
    pub(super) fn unsend(&mut self) {
        for waiting in self.waiting.values_mut() {
            waiting.is_sent = false;
        }
    }

    pub(super) fn refuse_all(&mut self, error: &Error) {
        for waiting in std::mem::take(&mut self.waiting).into_values() {
            // Whoever asked may have gone.
            let _ = waiting.reply.send(Err(error.clone()));
        }
    }

    fn settle(&mut self, id: Option<u64>, answer: Result<Answer, Error>) {
        if let Some(waiting) = id.and_then(|id| self.waiting.remove(&id)) {
            // Whoever asked may have gone.
            let _ = waiting.reply.send(answer);
        }
    }
}
