//! The topics of all Applications, and the releases that their streams request.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hashbrown::HashMap;
use presence_core::model::ApplicationState;
use presence_core::roster::ViewChange;
use presence_core::stream::{HoldEnd, Retention, Stream};
use presence_core::{Clock, Steady, UnixMillis};
use presence_protocol::app::Receipt;
use presence_protocol::{AppId, Puid};
use tokio::sync::Notify;

use super::super::limits::HubLimits;
use super::super::topic::Topic;
use super::hold_timers::HoldTimers;
use super::release_queue::ReleaseQueue;
use crate::meters::TopicMeters;

/// All topics.
pub(super) struct Topics {
    clock: Arc<dyn Clock>,
    epoch: u64,
    retention: Retention,
    receipt_hold: Duration,
    update_delay: Duration,
    by_app: RwLock<HashMap<AppId, Arc<Topic>>>,
    releases: ReleaseQueue,
    hold_timers: HoldTimers,
    meters: TopicMeters,
}

impl Topics {
    pub(super) fn new(clock: Arc<dyn Clock>, epoch: u64, limits: &HubLimits) -> Self {
        Self {
            update_delay: limits.update_delay,
            clock,
            epoch,
            retention: limits.retention,
            receipt_hold: limits.receipt_hold,
            by_app: RwLock::default(),
            releases: ReleaseQueue::default(),
            hold_timers: HoldTimers::default(),
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
            Arc::new(Topic::new(
                stream,
                self.meters.clone(),
                Arc::clone(&self.clock),
                self.update_delay,
            ))
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
        if let Some(topic) = self.find(change.app) {
            self.publish_to(&topic, change, now);
        }
    }

    fn publish_to(&self, topic: &Topic, change: ViewChange, now: UnixMillis) {
        let ViewChange { app, puid, view, cause } = change;
        topic.change(|stream| {
            if stream.publish(puid, view, cause, now).appeared {
                self.begin_hold(stream, app, puid);
            }
        });
    }

    /// Sets the end of the hold of a user whom an Application begins to see.
    fn begin_hold(&self, stream: &mut Stream, app: AppId, puid: Puid) {
        let until = self.clock.steady() + self.receipt_hold;
        if stream.set_hold_end(puid, until) {
            if self.receipt_hold.is_zero() {
                self.end_hold(stream, app, puid);
            } else {
                self.hold_timers.schedule(until, app, puid);
            }
        }
    }

    fn end_hold(&self, stream: &mut Stream, app: AppId, puid: Puid) {
        match stream.end_hold(puid, self.clock.steady(), self.clock.now()) {
            HoldEnd::Over => {}
            HoldEnd::Release => self.releases.request(app, puid),
            HoldEnd::Later(until) => self.hold_timers.schedule(until, app, puid),
        }
    }

    /// Ends the holds that are over.
    pub(super) fn end_holds(&self, now: Steady) {
        while let Some((app, puid)) = self.hold_timers.pop_due(now) {
            if let Some(topic) = self.find(app) {
                topic.change(|stream| self.end_hold(stream, app, puid));
            }
        }
    }

    /// Publishes a change of a user's view, or holds it if updates are delayed.
    pub(super) fn publish_later(&self, change: ViewChange, now: UnixMillis) {
        let Some(topic) = self.find(change.app) else { return };
        if topic.holds_updates() {
            topic.change(|stream| stream.hold(change.puid, change.view, change.cause));
        } else {
            self.publish_to(&topic, change, now);
        }
    }

    /// Publishes the held updates whose moment has come.
    pub(super) fn publish_due(&self) {
        if self.update_delay.is_zero() {
            return;
        }
        for (app, topic) in self.all() {
            topic.publish_due(|stream, puid| self.begin_hold(stream, app, puid));
        }
    }

    /// Activates or deactivates an Application.
    pub(super) fn set_active(&self, app: AppId, active: bool) -> Arc<Topic> {
        let now = self.clock.now();
        let state = if active { ApplicationState::Active } else { ApplicationState::Inactive };
        let topic = self.get_or_create(app, state);
        topic.change(|stream| {
            for puid in stream.set_active(active, now) {
                self.begin_hold(stream, app, puid);
            }
        });
        topic
    }

    pub(super) fn revoke(&self, app: AppId, puid: Puid) {
        if let Some(topic) = self.find(app) {
            topic.revoke(puid);
        }
    }

    pub(super) fn append_receipt(&self, app: AppId, receipt: Receipt) {
        let now = self.clock.now();
        if let Some(topic) = self.find(app) {
            topic.change(|stream| stream.append_receipt(receipt, now));
        }
    }

    pub(super) fn finish_release(&self, app: AppId, puid: Puid) {
        let now = self.clock.now();
        if let Some(topic) = self.find(app) {
            topic.change(|stream| stream.finish_release(puid, now));
        }
    }

    pub(super) fn note_taken(&self, app: AppId, puid: Puid) {
        if self.is_release_due(app, puid) {
            self.releases.request(app, puid);
        }
    }

    /// Trims the largest streams so that all together retain at most `limit` bytes.
    pub(super) fn trim(&self, limit: usize) {
        let topics = self.all();
        let mut sizes: Vec<usize> =
            topics.iter().map(|(_, topic)| topic.read(Stream::log_bytes)).collect();
        let Some(bytes) = share(&mut sizes, limit) else { return };
        topics.iter().for_each(|(_, topic)| topic.change(|stream| stream.trim_log(bytes)));
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

/// Returns the greatest size with which all together are within `limit`, if they are not now. So
/// only the largest ones become smaller.
fn share(sizes: &mut [usize], limit: usize) -> Option<usize> {
    sizes.sort_unstable();
    let (mut left, mut count) = (limit, sizes.len());
    for size in sizes {
        let share = left / count.max(1);
        if *size > share {
            return Some(share);
        }
        (left, count) = (left - *size, count - 1);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn only_the_largest_become_smaller_if_all_together_are_too_large() {
        assert_eq!(share(&mut [], 10), None);
        assert_eq!(share(&mut [5, 1, 4], 10), None);
        assert_eq!(share(&mut [9, 1, 4], 10), Some(5));
        assert_eq!(share(&mut [100, 1, 100], 11), Some(5));
        assert_eq!(share(&mut [7, 7, 7], 10), Some(3));
    }
}
