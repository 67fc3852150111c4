//! The connection of the writer to the hub.

use std::sync::Arc;
use std::time::Duration;

use presence_core::{Notification, UserId};
use presence_protocol::{AppId, Puid};
use presence_store::{CommitHook, CommittedEvent};
use tokio::sync::Notify;

use super::LocalHub;
use crate::mailbox::PendingDelivery;

/// Answers the writer's questions for the hub, and applies committed events to it, in the order of
/// commits.
pub(crate) struct HubNotifier(pub(crate) Arc<LocalHub>);

impl CommitHook for HubNotifier {
    fn grants_with_immediate_receipts(&self, user: UserId) -> Vec<Puid> {
        self.0.grants_with_immediate_receipts(user)
    }

    fn is_reachable(&self, app: AppId, puid: Puid, user: UserId) -> bool {
        self.0.is_visible(app, puid) && self.0.is_connected(user)
    }

    fn connected_users(&self, mut users: Vec<UserId>) -> Vec<UserId> {
        users.retain(|user| !self.0.devices_of(*user).is_empty());
        users
    }

    fn take_releases(&self, limit: usize) -> Vec<(AppId, Puid)> {
        self.0.take_releases(limit)
    }

    fn releases_failed(&self, grants: Vec<(AppId, Puid)>) {
        self.0.releases_failed(grants);
    }

    fn release_signal(&self) -> &Notify {
        self.0.release_signal()
    }

    fn committed(&self, events: &[CommittedEvent]) {
        events.iter().for_each(|event| self.apply(event));
    }

    fn group_committed(&self, requests: usize, time: Duration) {
        self.0.group_committed(requests, time);
    }
}

impl HubNotifier {
    fn apply(&self, event: &CommittedEvent) {
        let hub = &self.0;
        match event {
            CommittedEvent::Queued(notification) => self.deliver(notification, false),
            CommittedEvent::Receipt(app, receipt) => hub.append_receipt(*app, *receipt),
            CommittedEvent::Taken(app, puid) => hub.note_taken(*app, *puid),
            CommittedEvent::Released(app, puid) => hub.finish_release(*app, *puid),
            CommittedEvent::Grants { user, set, apps, resumed, ended } => {
                hub.note_user_change(*user);
                hub.set_grants(*user, set.clone(), apps);
                resumed.iter().for_each(|item| self.deliver(item, true));
                ended.iter().for_each(|(app, puid)| hub.revoke(*app, *puid));
            }
            CommittedEvent::Suspension { app, state, puid, suspended, last_check } => {
                hub.topic(*app, *state).set_suspended(*puid, *suspended, *last_check);
            }
            CommittedEvent::DomainChanged(app) => hub.change_domain(*app),
            CommittedEvent::AppRemoved(app, _) => hub.set_active(*app, false),
            CommittedEvent::UserErased(user, ended, _) => {
                hub.note_user_change(*user);
                hub.end_all_devices(*user);
                ended.iter().for_each(|(app, puid)| hub.revoke(*app, *puid));
            }
        }
    }

    fn deliver(&self, notification: &Notification, resumed: bool) {
        self.0.deliver(&PendingDelivery { notification: Arc::new(notification.clone()), resumed });
    }
}

#[cfg(test)]
mod tests;
