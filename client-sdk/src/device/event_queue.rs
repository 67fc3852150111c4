//! The events that wait until the application pulls them, and the notifications that it has seen.

use std::collections::{HashMap, VecDeque};

use presence_protocol::NotificationId;
use presence_protocol::device::LiveNotification;

use super::event::DeviceEvent;
use crate::channel::Pulled;
use crate::credential::CredentialReason;
use crate::state::ConnectionState;

/// The maximum number of notifications that wait for the application. Further ones are left on
/// the server, and fetched once the queue is empty.
const MAX_WAITING: usize = 1_000;
/// The maximum number of notifications that are remembered, so that none is delivered twice.
const MAX_REMEMBERED: usize = 10_000;

/// The queue of events: at most one state, one request for a credential and a bounded number of
/// notifications.
#[derive(Debug)]
pub(super) struct DeviceEventQueue {
    state: Option<ConnectionState>,
    credential_request: Option<CredentialReason>,
    waiting: VecDeque<LiveNotification>,
    seen: SeenNotifications,
    has_deferred: bool,
    ended: bool,
}

/// The result of adding a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AddResult {
    /// The notification was queued.
    Queued,
    /// The notification was queued before, and the application has not acknowledged it.
    Duplicate,
    /// The application has acknowledged it, and the server does not know that yet.
    Acknowledged,
    /// The queue is full, so the notification is left on the server.
    Deferred,
}

impl DeviceEventQueue {
    pub(super) fn new(state: ConnectionState) -> Self {
        Self {
            state: Some(state),
            credential_request: None,
            waiting: VecDeque::new(),
            seen: SeenNotifications::default(),
            has_deferred: false,
            ended: false,
        }
    }

    pub(super) fn set_state(&mut self, state: ConnectionState) {
        self.state = Some(state);
    }

    pub(super) fn set_credential_request(&mut self, reason: Option<CredentialReason>) {
        self.credential_request = reason;
    }

    pub(super) fn add(&mut self, notification: LiveNotification) -> AddResult {
        match self.seen.is_acknowledged(notification.id) {
            Some(true) => return AddResult::Acknowledged,
            Some(false) => return AddResult::Duplicate,
            None => {}
        }
        if self.waiting.len() >= MAX_WAITING {
            self.has_deferred = true;
            return AddResult::Deferred;
        }
        self.seen.insert(notification.id, false);
        self.waiting.push_back(notification);
        AddResult::Queued
    }

    pub(super) fn acknowledge(&mut self, id: NotificationId) {
        self.seen.insert(id, true);
    }

    /// Returns true, once, if notifications were left on the server and the queue is empty.
    pub(super) fn take_refetch_request(&mut self) -> bool {
        self.has_deferred && self.waiting.is_empty() && std::mem::take(&mut self.has_deferred)
    }

    /// Returns true if notifications were left on the server.
    pub(super) fn has_deferred(&self) -> bool {
        self.has_deferred
    }

    /// Takes the next event. The end of the channel comes after all other events.
    pub(super) fn pull(&mut self) -> Option<Pulled<DeviceEvent>> {
        if self.ended {
            return Some(Pulled::End);
        }
        let is_end = self.is_at_end();
        if !is_end {
            if let Some(state) = self.state.take() {
                return Some(Pulled::Event(DeviceEvent::State(state)));
            }
            if let Some(reason) = self.credential_request.take() {
                return Some(Pulled::Event(DeviceEvent::CredentialWanted(reason)));
            }
        }
        if let Some(notification) = self.waiting.pop_front() {
            return Some(Pulled::Event(DeviceEvent::Notification(notification)));
        }
        self.ended = is_end;
        self.state.take().map(|end| Pulled::Event(DeviceEvent::State(end)))
    }

    /// Takes the next notification and leaves states and credential requests where they are.
    pub(super) fn pull_notification(&mut self) -> Option<Pulled<LiveNotification>> {
        let notification = self.waiting.pop_front().map(Pulled::Event);
        notification.or_else(|| self.is_at_end().then_some(Pulled::End))
    }

    /// Takes the credential request, if there is one, and leaves states and notifications where
    /// they are.
    pub(super) fn pull_credential_request(&mut self) -> Option<Pulled<CredentialReason>> {
        if self.is_at_end() {
            return Some(Pulled::End);
        }
        self.credential_request.take().map(Pulled::Event)
    }

    /// Returns true if the channel has ended, whether or not the application has pulled that
    /// state.
    fn is_at_end(&self) -> bool {
        self.ended || matches!(self.state, Some(ConnectionState::Ended(_)))
    }
}

/// The most recent notifications, each with a flag that is true if the application has
/// acknowledged it.
#[derive(Debug, Default)]
struct SeenNotifications {
    acknowledged: HashMap<NotificationId, bool>,
    order: VecDeque<NotificationId>,
}

impl SeenNotifications {
    fn is_acknowledged(&self, id: NotificationId) -> Option<bool> {
        self.acknowledged.get(&id).copied()
    }

    fn insert(&mut self, id: NotificationId, acknowledged: bool) {
        if self.acknowledged.insert(id, acknowledged).is_some() {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > MAX_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.acknowledged.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use presence_protocol::{AppId, UnixMillis};

    use super::*;
    use crate::end_reason::EndReason;

    fn notification(id: u128) -> LiveNotification {
        LiveNotification {
            source: "Chat".to_owned(),
            application: "Chat".to_owned(),
            domain: "chat.example".to_owned(),
            message: id.to_string(),
            action: String::new(),
            appid: AppId::from_bits(1),
            id: NotificationId::from_bits(id),
            sent_at: UnixMillis::default(),
        }
    }

    fn queue() -> DeviceEventQueue {
        let mut queue = DeviceEventQueue::new(ConnectionState::Connected);
        assert!(matches!(queue.pull(), Some(Pulled::Event(DeviceEvent::State(_)))));
        queue
    }

    #[test]
    fn a_notification_is_delivered_once_whether_or_not_it_was_acknowledged() {
        let mut queue = queue();
        assert_eq!(queue.add(notification(1)), AddResult::Queued);
        assert_eq!(queue.add(notification(1)), AddResult::Duplicate);
        assert!(matches!(queue.pull(), Some(Pulled::Event(DeviceEvent::Notification(_)))));
        assert_eq!(queue.add(notification(1)), AddResult::Duplicate);
        queue.acknowledge(NotificationId::from_bits(1));
        assert_eq!(queue.add(notification(1)), AddResult::Acknowledged);
        assert_eq!(queue.pull(), None);
    }

    #[test]
    fn notifications_that_do_not_fit_are_left_on_the_server_and_fetched_later() {
        let mut queue = queue();
        for id in 0..MAX_WAITING as u128 {
            assert_eq!(queue.add(notification(id)), AddResult::Queued);
        }
        assert_eq!(queue.add(notification(9_999)), AddResult::Deferred);
        assert!(!queue.take_refetch_request());
        while queue.pull().is_some() {}
        assert!(queue.take_refetch_request() && !queue.take_refetch_request());
        assert_eq!(queue.add(notification(9_999)), AddResult::Queued);
    }

    #[test]
    fn the_memory_of_seen_notifications_is_bounded() {
        let mut queue = queue();
        for id in 0..3 * MAX_REMEMBERED as u128 {
            queue.add(notification(id));
            queue.pull();
        }
        assert_eq!(queue.seen.order.len(), MAX_REMEMBERED);
        assert_eq!(queue.seen.acknowledged.len(), MAX_REMEMBERED);
    }

    #[test]
    fn only_the_newest_state_waits_and_the_end_comes_last() {
        let mut queue = queue();
        queue.set_state(ConnectionState::Connecting { attempt: 1 });
        queue.set_state(ConnectionState::Connected);
        queue.add(notification(1));
        queue.set_state(ConnectionState::Ended(EndReason::Replaced));
        assert!(matches!(queue.pull(), Some(Pulled::Event(DeviceEvent::Notification(_)))));
        let end = DeviceEvent::State(ConnectionState::Ended(EndReason::Replaced));
        assert_eq!(queue.pull(), Some(Pulled::Event(end)));
        assert_eq!(queue.pull(), Some(Pulled::End));
        assert_eq!(queue.pull(), Some(Pulled::End));
    }

    #[test]
    fn each_kind_of_event_can_be_pulled_without_the_others() {
        let mut queue = DeviceEventQueue::new(ConnectionState::Connected);
        assert_eq!(queue.pull_notification(), None);
        assert_eq!(queue.pull_credential_request(), None);
        queue.add(notification(1));
        queue.set_credential_request(Some(CredentialReason::Expired));
        assert_eq!(queue.pull_notification(), Some(Pulled::Event(notification(1))));
        assert_eq!(queue.pull_credential_request(), Some(Pulled::Event(CredentialReason::Expired)));
        assert_eq!((queue.pull_notification(), queue.pull_credential_request()), (None, None));
        queue.add(notification(2));
        queue.set_state(ConnectionState::Ended(EndReason::Closed));
        assert_eq!(queue.pull_credential_request(), Some(Pulled::End));
        assert_eq!(queue.pull_notification(), Some(Pulled::Event(notification(2))));
        assert_eq!(queue.pull_notification(), Some(Pulled::End));
    }
}
