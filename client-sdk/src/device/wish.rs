//! What the application wants to be known, and how much of it the server has confirmed on this socket.

use presence_protocol::device::{DeviceCommand, StatusReport};
use presence_protocol::{AppId, NotificationId, Status, StatusText};

/// How many acknowledgements go in a frame: far less than 16 KiB, the most that a server takes by default.
const ACKS_AT_ONCE: usize = 256;

/// A value that the application wishes, of which the last counts.
#[derive(Debug)]
struct Wished<T> {
    value: T,
    /// Grows with each wish.
    turn: u64,
    /// The turn that the server has confirmed, or refused.
    said: u64,
}

impl<T> Wished<T> {
    fn new(value: T) -> Self {
        Self { value, turn: 1, said: 0 }
    }

    fn wish(&mut self, value: T) {
        self.value = value;
        self.turn += 1;
    }

    fn is_said(&self) -> bool {
        self.said == self.turn
    }
}

/// What a frame that is on its way says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// The status of a turn.
    Status(u64),
    /// The visibility of a turn.
    Visibility(u64),
    /// Acknowledgements.
    Acks(Vec<NotificationId>),
}

/// All wishes of a device.
#[derive(Debug)]
pub(super) struct Wishes {
    status: Wished<(Status, Option<StatusText>)>,
    visibility: Option<Wished<Vec<AppId>>>,
    acks: Vec<NotificationId>,
}

impl Wishes {
    pub(super) fn new(
        status: Status,
        message: Option<StatusText>,
        visibility: Option<Vec<AppId>>,
    ) -> Self {
        let visibility = visibility.map(Wished::new);
        Self { status: Wished::new((status, message)), visibility, acks: Vec::new() }
    }

    pub(super) fn status(&mut self, status: Status, message: Option<StatusText>) {
        self.status.wish((status, message));
    }

    pub(super) fn visibility(&mut self, applications: Vec<AppId>) {
        match &mut self.visibility {
            Some(visibility) => visibility.wish(applications),
            None => self.visibility = Some(Wished::new(applications)),
        }
    }

    pub(super) fn acknowledge(&mut self, id: NotificationId) {
        if !self.acks.contains(&id) {
            self.acks.push(id);
        }
    }

    /// A new socket knows nothing.
    pub(super) fn forget_what_was_said(&mut self) {
        self.status.said = 0;
        if let Some(visibility) = &mut self.visibility {
            visibility.said = 0;
        }
    }

    /// Whether the server has confirmed everything.
    pub(super) fn are_said(&self) -> bool {
        self.acks.is_empty()
            && self.status.is_said()
            && self.visibility.as_ref().is_none_or(Wished::is_said)
    }

    /// What is to be said next: the visibility first, so that nobody sees what they should not.
    pub(super) fn next(&mut self) -> Option<(DeviceCommand, Said)> {
        if let Some(visibility) = &self.visibility
            && !visibility.is_said()
        {
            let command = DeviceCommand::Visibility(visibility.value.clone());
            return Some((command, Said::Visibility(visibility.turn)));
        }
        if !self.status.is_said() {
            return Some(self.present_status());
        }
        if self.acks.is_empty() {
            return None;
        }
        let ids: Vec<_> = self.acks.drain(..self.acks.len().min(ACKS_AT_ONCE)).collect();
        Some((DeviceCommand::Ack(ids.clone()), Said::Acks(ids)))
    }

    /// The status as it is wished now.
    pub(super) fn present_status(&self) -> (DeviceCommand, Said) {
        let (status, message) = self.status.value.clone();
        let report = StatusReport { status, message, application_ids: None };
        (DeviceCommand::Status(report), Said::Status(self.status.turn))
    }

    /// The server has confirmed it, or will never take it.
    pub(super) fn settle(&mut self, said: &Said) {
        match said {
            Said::Status(turn) => self.status.said = *turn,
            Said::Visibility(turn) => {
                if let Some(visibility) = &mut self.visibility {
                    visibility.said = *turn;
                }
            }
            Said::Acks(_) => {}
        }
    }

    /// It was not heard, or not now: it has to be said again.
    pub(super) fn unsay(&mut self, said: Said) {
        if let Said::Acks(ids) = said {
            ids.into_iter().for_each(|id| self.acknowledge(id));
        }
    }
}
