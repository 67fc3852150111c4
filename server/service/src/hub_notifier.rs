//! Carries what the writer committed to the hub, in that order.

use std::sync::Arc;
use std::time::Duration;

use presence_core::{Notification, UserId};
use presence_protocol::{AppId, CloseCode, Puid};
use presence_store::{CommitHook, CommittedEvent, Reachability};

use crate::hub::Hub;
use crate::mailbox::PendingDelivery;

pub(crate) struct HubNotifier(pub(crate) Arc<Hub>);

impl CommitHook for HubNotifier {
    fn reach(&self, app: AppId, puid: Puid, user: UserId) -> Reachability {
        match (self.0.shows(app, puid), self.0.is_connected(user)) {
            (false, _) => Reachability::Unseen,
            (true, false) => Reachability::Seen,
            (true, true) => Reachability::Connected,
        }
    }

    fn committed(&self, done: &[CommittedEvent]) {
        for done in done {
            self.carry(done);
        }
    }

    fn took(&self, requests: usize, time: Duration) {
        self.0.committed(requests, time);
    }
}

impl HubNotifier {
    fn carry(&self, done: &CommittedEvent) {
        let hub = &self.0;
        match done {
            CommittedEvent::Queued(notification) => self.deliver(notification, false),
            CommittedEvent::Receipt(app, receipt) => hub.receipt(*app, *receipt),
            CommittedEvent::Withheld(_, app, puid) => hub.withhold(*app, *puid),
            CommittedEvent::Grants { user, set, resumed, ended } => {
                hub.set_grants(*user, set.clone());
                resumed.iter().for_each(|item| self.deliver(item, true));
                ended.iter().for_each(|(app, puid)| hub.revoke(*app, *puid));
            }
            CommittedEvent::AppRemoved(app, _) => hub.switch(*app, false),
            CommittedEvent::UserErased(user, ended, _) => {
                hub.end_all_devices(*user, CloseCode::EndedByUser);
                ended.iter().for_each(|(app, puid)| hub.revoke(*app, *puid));
            }
        }
    }

    fn deliver(&self, notification: &Notification, resumed: bool) {
        self.0.deliver(&PendingDelivery { notification: Arc::new(notification.clone()), resumed });
    }
}
