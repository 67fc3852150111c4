//! The topics of all Applications, and the releases that their streams request.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use presence_core::model::ApplicationState;
use presence_core::roster::ViewChange;
use presence_core::stream::{Retention, Stream};
use presence_core::{Clock, UnixMillis};
use presence_protocol::app::Receipt;
use presence_protocol::{AppId, Puid};
use tokio::sync::Notify;

use super::release_queue::ReleaseQueue;
use super::topic::Topic;
use crate::meters::TopicMeters;

/// All topics.
pub(super) struct Topics {
    clock: Arc<dyn Clock>,
    epoch: u64,
    retention: Retention,
    by_app: RwLock<HashMap<AppId, Arc<Topic>>>,
    releases: ReleaseQueue,
    meters: TopicMeters,
}

impl Topics {
    pub(super) fn new(clock: Arc<dyn Clock>, epoch: u64, retention: Retention) -> Self {
        Self {
            clock,
            epoch,
            retention,
            by_app: RwLock::default(),
            releases: ReleaseQueue::default(),
            meters: TopicMeters::default(),
        }
    }

    pub(super) fn find(&self, app: AppId) -> Option<Arc<Topic>> {
        self.by_app.read().unwrap_or_else(PoisonError::into_inner).get(&app).map(Arc::clone)
    }

    /// Returns the topic of an Application. A new one starts in the state that the store holds.
    pub(super) fn get_or_create(&self, app: AppId, stored: ApplicationState) -> Arc<Topic> {
        if let Some(topic) = self.find(app) {
            return topic;
        }
        let mut topics = self.by_app.write().unwrap_or_else(PoisonError::into_inner);
        let topic = topics.entry(app).or_insert_with(|| {
            let is_active = stored == ApplicationState::Active;
            let stream = Stream::new(rand::random(), self.epoch, is_active, self.retention);
            Arc::new(Topic::new(stream, self.meters.clone()))
        });
        Arc::clone(topic)
    }

    pub(super) fn all(&self) -> Vec<(AppId, Arc<Topic>)> {
        let topics = self.by_app.read().unwrap_or_else(PoisonError::into_inner);
        topics.iter().map(|(app, topic)| (*app, Arc::clone(topic))).collect()
    }

    /// Returns those grants of which a settlement gets its receipt at once.
    pub(super) fn with_immediate_receipts(
        &self,
        grants: impl Iterator<Item = (AppId, Puid)>,
    ) -> Vec<Puid> {
        let topics = self.by_app.read().unwrap_or_else(PoisonError::into_inner);
        let is_immediate = |(app, puid): &(AppId, Puid)| {
            let topic = topics.get(app);
            topic.is_some_and(|topic| topic.read(|stream| stream.gives_immediate_receipts(*puid)))
        };
        grants.filter(is_immediate).map(|(_, puid)| puid).collect()
    }

    /// Publishes a change of a user's view. A topic is created before its first grant is loaded, so
    /// there is none only for an Application that was never active.
    pub(super) fn publish(&self, change: ViewChange, now: UnixMillis) {
        let ViewChange { app, puid, view } = change;
        let Some(topic) = self.find(app) else { return };
        if topic.change(|stream| stream.publish(puid, view, now)).release_due {
            self.releases.request(app, puid);
        }
    }

    /// Activates or deactivates an Application.
    pub(super) fn set_active(&self, app: AppId, active: bool) -> Arc<Topic> {
        let now = self.clock.now();
        let state = if active { ApplicationState::Active } else { ApplicationState::Inactive };
        let topic = self.get_or_create(app, state);
        for puid in topic.change(|stream| stream.set_active(active, now)) {
            self.releases.request(app, puid);
        }
        topic
    }

    pub(super) fn revoke(&self, app: AppId, puid: Puid) {
        let now = self.clock.now();
        if let Some(topic) = self.find(app) {
            topic.change(|stream| stream.revoke(puid, now));
        }
    }

    pub(super) fn append_receipt(&self, app: AppId, receipt: Receipt) {
        let now = self.clock.now();
        if let Some(topic) = self.find(app) {
            topic.change(|stream| stream.append_receipt(receipt, now));
        }
    }

    pub(super) fn note_taken(&self, app: AppId, puid: Puid) {
        if self.is_release_due(app, puid) {
            self.releases.request(app, puid);
        }
    }

    /// Takes at most `limit` requested releases of grants that are visible now.
    pub(super) fn take_releases(&self, limit: usize) -> Vec<(AppId, Puid)> {
        let mut taken = Vec::new();
        while taken.len() < limit
            && let Some((app, puid)) = self.releases.pop()
        {
            let topic = self.find(app);
            if topic.is_some_and(|topic| topic.change(|stream| stream.start_release(puid))) {
                taken.push((app, puid));
            }
        }
        taken
    }

    /// Requests releases again that could not be committed.
    pub(super) fn releases_failed(&self, grants: Vec<(AppId, Puid)>) {
        for (app, puid) in grants {
            if self.is_release_due(app, puid) {
                self.releases.retry_later(app, puid);
            }
        }
    }

    pub(super) fn release_signal(&self) -> &Notify {
        self.releases.signal()
    }

    fn is_release_due(&self, app: AppId, puid: Puid) -> bool {
        self.find(app).is_some_and(|topic| topic.change(|stream| stream.note_taken(puid)))
    }
}
