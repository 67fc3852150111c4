//! The connection of the writer to the hub of servers that share presence.

use std::sync::Arc;
use std::time::Duration;

use presence_core::UserId;
use presence_protocol::{AppId, Puid};
use presence_store::{CommitHook, CommittedEvent};
use tokio::sync::Notify;

use super::SharedHub;

/// Answers the writer, which knows the shared presence itself: the database releases receipts, and
/// notes for all servers follow each commit.
pub(crate) struct SharedNotifier {
    hub: Arc<SharedHub>,
    never: Notify,
}

impl SharedNotifier {
    pub(crate) fn new(hub: Arc<SharedHub>) -> Self {
        Self { hub, never: Notify::new() }
    }
}

impl CommitHook for SharedNotifier {
    fn grants_with_immediate_receipts(&self, _: UserId) -> Vec<Puid> {
        Vec::new()
    }

    fn is_reachable(&self, _: AppId, _: Puid, _: UserId) -> bool {
        false
    }

    fn take_releases(&self, _: usize) -> Vec<(AppId, Puid)> {
        Vec::new()
    }

    fn releases_failed(&self, _: Vec<(AppId, Puid)>) {}

    fn release_signal(&self) -> &Notify {
        &self.never
    }

    fn committed(&self, events: &[CommittedEvent]) {
        for event in events {
            if let CommittedEvent::Receipt(_, receipt) = event {
                self.hub.count_receipts(receipt.state, 1);
            }
        }
    }

    fn group_committed(&self, requests: usize, time: Duration) {
        self.hub.group_committed(requests, time);
    }
}
