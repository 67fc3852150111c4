//! What waits for the application to pull it, and which notifications it has had.

use std::collections::{HashMap, VecDeque};

use presence_protocol::NotificationId;
use presence_protocol::device::LiveNotification;

use super::DeviceEvent;
use crate::credential::CredentialReason;
use crate::link::Pulled;
use crate::state::ConnectionState;

/// How many notifications wait for the application. What comes beyond is left with the server, and fetched once there is room.
const WAITING: usize = 1_000;
/// How many notifications are remembered, so that none is shown twice.
const REMEMBERED: usize = 10_000;

/// What waits for the application: of states only the newest, of wanted credentials one, of notifications a bounded number.
#[derive(Debug)]
pub(super) struct Inbox {
    state: Option<ConnectionState>,
    wanted: Option<CredentialReason>,
    waiting: VecDeque<LiveNotification>,
    had: Remembered,
    left_with_the_server: bool,
    ended: bool,
}

/// What an arriving notification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The application will get it.
    New,
    /// The application has it, and has not acknowledged it.
    InHands,
    /// The application acknowledged it, and the server does not know that.
    Acknowledged,
    /// There is no room.
    LeftWithTheServer,
}

impl Inbox {
    pub(super) fn new(state: ConnectionState) -> Self {
        Self {
            state: Some(state),
            wanted: None,
            waiting: VecDeque::new(),
            had: Remembered::default(),
            left_with_the_server: false,
            ended: false,
        }
    }

    pub(super) fn state(&mut self, state: ConnectionState) {
        self.state = Some(state);
    }

    pub(super) fn wanted(&mut self, wanted: Option<CredentialReason>) {
        self.wanted = wanted;
    }

    pub(super) fn arrive(&mut self, notification: LiveNotification) -> Arrival {
        match self.had.of(notification.id) {
            Some(true) => return Arrival::Acknowledged,
            Some(false) => return Arrival::InHands,
            None => {}
        }
        if self.waiting.len() >= WAITING {
            self.left_with_the_server = true;
            return Arrival::LeftWithTheServer;
        }
        self.had.remember(notification.id, false);
        self.waiting.push_back(notification);
        Arrival::New
    }

    pub(super) fn acknowledge(&mut self, id: NotificationId) {
        self.had.remember(id, true);
    }

    /// Whether there is room again for what was left with the server; says so once.
    pub(super) fn take_room(&mut self) -> bool {
        self.left_with_the_server
            && self.waiting.is_empty()
            && std::mem::take(&mut self.left_with_the_server)
    }

    /// Whether something was left with the server.
    pub(super) fn has_left_some(&self) -> bool {
        self.left_with_the_server
    }

    /// The next event, or that there will be no more. The end comes after everything else.
    pub(super) fn pull(&mut self) -> Option<Pulled<DeviceEvent>> {
        if self.ended {
            return Some(Pulled::End);
        }
        let is_end = self.is_at_end();
        if !is_end {
            if let Some(state) = self.state.take() {
                return Some(Pulled::Event(DeviceEvent::State(state)));
            }
            if let Some(wanted) = self.wanted.take() {
                return Some(Pulled::Event(DeviceEvent::CredentialWanted(wanted)));
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

    /// Takes the credential request, if there is one, and leaves states and notifications where they are.
    pub(super) fn pull_credential_request(&mut self) -> Option<Pulled<CredentialReason>> {
        if self.is_at_end() {
            return Some(Pulled::End);
        }
        self.wanted.take().map(Pulled::Event)
    }

    /// Returns true if the channel has ended, whether or not the application has pulled that state.
    fn is_at_end(&self) -> bool {
        self.ended || matches!(self.state, Some(ConnectionState::Ended(_)))
    }
}

/// The notifications that came last, and whether each was acknowledged.
#[derive(Debug, Default)]
struct Remembered {
    acknowledged: HashMap<NotificationId, bool>,
    order: VecDeque<NotificationId>,
}

impl Remembered {
    fn of(&self, id: NotificationId) -> Option<bool> {
        self.acknowledged.get(&id).copied()
    }

    fn remember(&mut self, id: NotificationId, acknowledged: bool) {
        if self.acknowledged.insert(id, acknowledged).is_some() {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.acknowledged.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use presence_protocol::AppId;

    use super::*;
    use crate::state::EndReason;

    fn notification(id: u128) -> LiveNotification {
        LiveNotification {
            source: "Chat".to_owned(),
            message: id.to_string(),
            action: String::new(),
            appid: AppId::from_bits(1),
            id: NotificationId::from_bits(id),
            sent_at: presence_protocol::UnixMillis::default(),
        }
    }

    fn inbox() -> Inbox {
        let mut inbox = Inbox::new(ConnectionState::Connected);
        assert!(matches!(inbox.pull(), Some(Pulled::Event(DeviceEvent::State(_)))));
        inbox
    }

    #[test]
    fn a_notification_is_shown_once_whether_or_not_it_was_acknowledged() {
        let mut inbox = inbox();
        assert_eq!(inbox.arrive(notification(1)), Arrival::New);
        assert_eq!(inbox.arrive(notification(1)), Arrival::InHands);
        assert!(matches!(inbox.pull(), Some(Pulled::Event(DeviceEvent::Notification(_)))));
        assert_eq!(inbox.arrive(notification(1)), Arrival::InHands);
        inbox.acknowledge(NotificationId::from_bits(1));
        assert_eq!(inbox.arrive(notification(1)), Arrival::Acknowledged);
        assert_eq!(inbox.pull(), None);
    }

    #[test]
    fn what_finds_no_room_is_left_with_the_server_and_asked_for_once_there_is_room() {
        let mut inbox = inbox();
        for id in 0..WAITING as u128 {
            assert_eq!(inbox.arrive(notification(id)), Arrival::New);
        }
        assert_eq!(inbox.arrive(notification(9_999)), Arrival::LeftWithTheServer);
        assert!(!inbox.take_room());
        while inbox.pull().is_some() {}
        assert!(inbox.take_room() && !inbox.take_room());
        assert_eq!(inbox.arrive(notification(9_999)), Arrival::New);
    }

    #[test]
    fn memory_is_bounded_however_many_come() {
        let mut inbox = inbox();
        for id in 0..3 * REMEMBERED as u128 {
            inbox.arrive(notification(id));
            inbox.pull();
        }
        assert_eq!(inbox.had.order.len(), REMEMBERED);
        assert_eq!(inbox.had.acknowledged.len(), REMEMBERED);
    }

    #[test]
    fn only_the_newest_state_waits_and_the_end_comes_last() {
        let mut inbox = inbox();
        inbox.state(ConnectionState::Connecting { attempt: 1 });
        inbox.state(ConnectionState::Connected);
        inbox.arrive(notification(1));
        inbox.state(ConnectionState::Ended(EndReason::Replaced));
        assert!(matches!(inbox.pull(), Some(Pulled::Event(DeviceEvent::Notification(_)))));
        let end = DeviceEvent::State(ConnectionState::Ended(EndReason::Replaced));
        assert_eq!(inbox.pull(), Some(Pulled::Event(end)));
        assert_eq!(inbox.pull(), Some(Pulled::End));
        assert_eq!(inbox.pull(), Some(Pulled::End));
    }
    #[test]
    fn each_kind_of_event_can_be_pulled_without_the_others() {
        let mut inbox = Inbox::new(ConnectionState::Connected);
        assert_eq!(inbox.pull_notification(), None);
        assert_eq!(inbox.pull_credential_request(), None);
        inbox.arrive(notification(1));
        inbox.wanted(Some(CredentialReason::Expired));
        assert_eq!(inbox.pull_notification(), Some(Pulled::Event(notification(1))));
        assert_eq!(inbox.pull_credential_request(), Some(Pulled::Event(CredentialReason::Expired)));
        assert_eq!((inbox.pull_notification(), inbox.pull_credential_request()), (None, None));
        inbox.arrive(notification(2));
        inbox.state(ConnectionState::Ended(EndReason::Closed));
        assert_eq!(inbox.pull_credential_request(), Some(Pulled::End));
        assert_eq!(inbox.pull_notification(), Some(Pulled::Event(notification(2))));
        assert_eq!(inbox.pull_notification(), Some(Pulled::End));
    }
}
