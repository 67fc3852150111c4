//! The requests that wait for a reply, over reconnects.

use std::collections::BTreeMap;

use presence_protocol::app::client::{notify, query};
use presence_protocol::app::{NotifyItem, QueuedNotification};
use presence_protocol::open::OpenQueryResult;
use presence_protocol::{ApiError, Puid};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::error::Error;

/// The content of a request.
#[derive(Debug)]
pub(super) enum PendingRequest {
    Notify(Vec<NotifyItem>),
    Query(Vec<Puid>),
}

/// The content of a reply.
#[derive(Debug)]
pub(super) enum Reply {
    Notify(Vec<Result<QueuedNotification, ApiError>>),
    Query(Vec<OpenQueryResult>),
}

struct Entry {
    request: PendingRequest,
    reply: oneshot::Sender<Result<Reply, Error>>,
    is_sent: bool,
    delayed_until: Option<Instant>,
}

/// The requests without a reply, by id. The ids give the order. The callers bound the number of
/// requests.
#[derive(Default)]
pub(super) struct Requests {
    entries: BTreeMap<u64, Entry>,
    last_id: u64,
}

impl Requests {
    /// Adds a request. Returns its id and the receiver of its reply.
    pub(super) fn add(
        &mut self,
        request: PendingRequest,
    ) -> (u64, oneshot::Receiver<Result<Reply, Error>>) {
        let (reply, receiver) = oneshot::channel();
        self.last_id += 1;
        let entry = Entry { request, reply, is_sent: false, delayed_until: None };
        self.entries.insert(self.last_id, entry);
        (self.last_id, receiver)
    }

    /// Removes a request that no caller waits for.
    pub(super) fn remove(&mut self, id: u64) {
        self.entries.remove(&id);
    }

    /// Returns the next frame to send. A request keeps its id and each notification its
    /// idempotency key, so that sending a request again has no further effect.
    pub(super) fn poll_outgoing(&mut self, now: Instant) -> Option<String> {
        let is_due =
            |entry: &Entry| !entry.is_sent && entry.delayed_until.is_none_or(|until| now >= until);
        let (id, entry) = self.entries.iter_mut().find(|(_, entry)| is_due(entry))?;
        entry.is_sent = true;
        Some(match &entry.request {
            PendingRequest::Notify(items) => notify(*id, items),
            PendingRequest::Query(uids) => query(*id, uids),
        })
    }

    /// Returns the time at which the next delayed request becomes due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let unsent = self.entries.values().filter(|entry| !entry.is_sent);
        unsent.filter_map(|entry| entry.delayed_until).min()
    }

    /// Returns the id of the newest request that was sent on this socket.
    pub(super) fn newest_sent(&self) -> Option<u64> {
        self.entries.iter().rev().find(|(_, entry)| entry.is_sent).map(|(id, _)| *id)
    }

    /// Returns true if a request up to this id was sent on this socket and has no reply.
    pub(super) fn has_sent(&self, id: u64) -> bool {
        self.entries.range(..=id).any(|(_, entry)| entry.is_sent)
    }

    /// Ends a request with its reply or its error.
    pub(super) fn complete(&mut self, id: Option<u64>, reply: Result<Reply, Error>) {
        if let Some(entry) = id.and_then(|id| self.entries.remove(&id)) {
            // The caller may have stopped waiting.
            let _ = entry.reply.send(reply);
        }
    }

    /// Sends a request again later, on the same socket.
    pub(super) fn delay(&mut self, id: Option<u64>, until: Instant) {
        if let Some(entry) = id.and_then(|id| self.entries.get_mut(&id)) {
            entry.is_sent = false;
            entry.delayed_until = Some(until);
        }
    }

    /// Marks all requests as not sent, since a new socket has transmitted none.
    pub(super) fn requeue_all(&mut self) {
        for entry in self.entries.values_mut() {
            entry.is_sent = false;
        }
    }

    /// Ends all requests with an error.
    pub(super) fn fail_all(&mut self, error: &Error) {
        for entry in std::mem::take(&mut self.entries).into_values() {
            // The caller may have stopped waiting.
            let _ = entry.reply.send(Err(error.clone()));
        }
    }
}
