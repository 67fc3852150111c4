//! The events that wait until the application pulls them, and the notifications that it has seen.

use std::collections::{HashMap, VecDeque};

use presence_protocol::NotificationId;
use presence_protocol::device::LiveNotification;

use super::event::DeviceEvent;
use crate::channel::Pulled;
use crate::credential::CredentialRequest;
use crate::state::ConnectionState;

/// The maximum number of notifications that wait for the application. Further ones are left on
/// the server, and fetched once the queue is empty.
const MAX_WAITING: usize = 1_000;
/// The maximum number of notifications that are remembered, so that none is delivered twice.
const MAX_REMEMBERED: usize = 10_000;

/// The queue of events: at most one state and a bounded number of notifications.
#[derive(Debug)]
pub(super) struct DeviceEventQueue {
    state: Option<ConnectionState>,
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
            waiting: VecDeque::new(),
            seen: SeenNotifications::default(),
            has_deferred: false,
            ended: false,
        }
    }

    pub(super) fn set_state(&mut self, state: ConnectionState) {
        self.state = Some(state);
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

    /// Records that the user has seen a notification, so that it is not delivered again.
    pub(super) fn mark_shown(&mut self, id: NotificationId) {
        if self.seen.is_acknowledged(id).is_none() {
            self.seen.insert(id, false);
        }
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

    /// Takes the next event, which is a state, the request for a credential if there is one, or a
    /// notification. The end of the channel comes after all other events.
    pub(super) fn pull(
        &mut self,
        request: Option<CredentialRequest>,
    ) -> Option<Pulled<DeviceEvent>> {
        if self.ended {
            return Some(Pulled::End);
        }
        let is_end = self.is_at_end();
        if !is_end {
            if let Some(state) = self.state.take() {
                return Some(Pulled::Event(DeviceEvent::State(state)));
            }
            if let Some(request) = request {
                return Some(Pulled::Event(DeviceEvent::CredentialWanted(request)));
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

    /// Returns true if the channel has ended, whether or not the application has pulled that
    /// state.
    pub(super) fn is_at_end(&self) -> bool {
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
        assert!(matches!(queue.pull(None), Some(Pulled::Event(DeviceEvent::State(_)))));
        queue
    }

    #[test]
    fn a_notification_is_delivered_once_whether_or_not_it_was_acknowledged() {
        let mut queue = queue();
        assert_eq!(queue.add(notification(1)), AddResult::Queued);
        assert_eq!(queue.add(notification(1)), AddResult::Duplicate);
        assert!(matches!(queue.pull(None), Some(Pulled::Event(DeviceEvent::Notification(_)))));
        assert_eq!(queue.add(notification(1)), AddResult::Duplicate);
        queue.acknowledge(NotificationId::from_bits(1));
        assert_eq!(queue.add(notification(1)), AddResult::Acknowledged);
        assert_eq!(queue.pull(None), None);
    }

    #[test]
    fn notifications_that_do_not_fit_are_left_on_the_server_and_fetched_later() {
        let mut queue = queue();
        for id in 0..MAX_WAITING as u128 {
            assert_eq!(queue.add(notification(id)), AddResult::Queued);
        }
        assert_eq!(queue.add(notification(9_999)), AddResult::Deferred);
        assert!(!queue.take_refetch_request());
        while queue.pull(None).is_some() {}
        assert!(queue.take_refetch_request() && !queue.take_refetch_request());
        assert_eq!(queue.add(notification(9_999)), AddResult::Queued);
    }

    #[test]
    fn the_memory_of_seen_notifications_is_bounded() {
        let mut queue = queue();
        for id in 0..3 * MAX_REMEMBERED as u128 {
            queue.add(notification(id));
            queue.pull(None);
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
        assert!(matches!(queue.pull(None), Some(Pulled::Event(DeviceEvent::Notification(_)))));
        let end = DeviceEvent::State(ConnectionState::Ended(EndReason::Replaced));
        assert_eq!(queue.pull(None), Some(Pulled::Event(end)));
        assert_eq!(queue.pull(None), Some(Pulled::End));
        assert_eq!(queue.pull(None), Some(Pulled::End));
    }

    #[test]
    fn notifications_can_be_pulled_without_the_other_events() {
        let mut queue = DeviceEventQueue::new(ConnectionState::Connected);
        assert_eq!(queue.pull_notification(), None);
        queue.add(notification(1));
        assert_eq!(queue.pull_notification(), Some(Pulled::Event(notification(1))));
        assert_eq!(queue.pull_notification(), None);
        queue.add(notification(2));
        queue.set_state(ConnectionState::Ended(EndReason::Closed));
        assert_eq!(queue.pull_notification(), Some(Pulled::Event(notification(2))));
        assert_eq!(queue.pull_notification(), Some(Pulled::End));
    }
}
