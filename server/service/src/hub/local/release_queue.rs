//! The releases that the hub requests from the writer.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use presence_protocol::{AppId, Puid};
use tokio::sync::Notify;

/// The grants whose taken notifications are to be released. The streams request each grant at most
/// once until the writer has taken it, so the queue has at most one entry for each grant.
#[derive(Default)]
pub(super) struct ReleaseQueue {
    grants: Mutex<VecDeque<(AppId, Puid)>>,
    signal: Notify,
}

impl ReleaseQueue {
    /// Adds a release, and wakes the writer.
    pub(super) fn request(&self, app: AppId, puid: Puid) {
        self.retry_later(app, puid);
        self.signal.notify_one();
    }

    /// Adds a release without waking the writer, which takes it with its next group that writes.
    pub(super) fn retry_later(&self, app: AppId, puid: Puid) {
        self.with(|grants| grants.push_back((app, puid)));
    }

    /// Takes the oldest release.
    pub(super) fn pop(&self) -> Option<(AppId, Puid)> {
        self.with(VecDeque::pop_front)
    }

    /// Returns the signal that wakes the writer.
    pub(super) fn signal(&self) -> &Notify {
        &self.signal
    }

    fn with<T>(&self, work: impl FnOnce(&mut VecDeque<(AppId, Puid)>) -> T) -> T {
        work(&mut self.grants.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
