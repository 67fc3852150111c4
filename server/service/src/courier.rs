//! Carries what the writer committed to the hub, in that order.

use std::sync::Arc;
use std::time::Duration;

use presence_core::{Notification, UserId};
use presence_protocol::{AppId, CloseCode, Puid};
use presence_store::{Done, Observer, Reach};

use crate::hub::Hub;
use crate::mailbox::Posted;

pub(crate) struct Courier(pub(crate) Arc<Hub>);

impl Observer for Courier {
    fn reach(&self, app: AppId, puid: Puid, user: UserId) -> Reach {
        match (self.0.shows(app, puid), self.0.is_connected(user)) {
            (false, _) => Reach::Unseen,
            (true, false) => Reach::Seen,
            (true, true) => Reach::Connected,
        }
    }

    fn committed(&self, done: &[Done]) {
        for done in done {
            self.carry(done);
        }
    }

    fn took(&self, requests: usize, time: Duration) {
        self.0.committed(requests, time);
    }
}

impl Courier {
    fn carry(&self, done: &Done) {
        let hub = &self.0;
        match done {
            Done::Queued(notification) => self.deliver(notification, false),
            Done::Receipt(app, receipt) => hub.receipt(*app, *receipt),
            Done::Withheld(_, app, puid) => hub.withhold(*app, *puid),
            Done::Grants { user, set, resumed, ended } => {
                hub.set_grants(*user, set.clone());
                resumed.iter().for_each(|item| self.deliver(item, true));
                ended.iter().for_each(|(app, puid)| hub.revoke(*app, *puid));
            }
            Done::AppRemoved(app, _) => hub.switch(*app, false),
            Done::UserErased(user, ended, _) => {
                hub.end_all_devices(*user, CloseCode::EndedByUser);
                ended.iter().for_each(|(app, puid)| hub.revoke(*app, *puid));
            }
        }
    }

    fn deliver(&self, notification: &Notification, resumed: bool) {
        self.0.deliver(&Posted { notification: Arc::new(notification.clone()), resumed });
    }
}
