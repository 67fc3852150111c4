//! The status, visibility and acknowledgements that the application wants the server to have, and
//! how much of it the server has confirmed on this socket.

use presence_protocol::device::client::ClientCommand;
use presence_protocol::open::OpenStatus;
use presence_protocol::{AppId, NotificationId, StatusText};

/// The maximum number of acknowledgements in a frame. It keeps a frame far below 16 KiB, which is
/// the default limit of the server.
const MAX_ACKS_PER_FRAME: usize = 256;

/// A value that the server should have. The last one set counts.
#[derive(Debug)]
struct Desired<T> {
    value: T,
    /// The number of times the value was set.
    revision: u64,
    /// The revision that the server has confirmed or refused, if any on this socket.
    resolved: Option<u64>,
}

impl<T> Desired<T> {
    fn new(value: T) -> Self {
        Self { value, revision: 1, resolved: None }
    }

    fn set(&mut self, value: T) {
        self.value = value;
        self.revision += 1;
    }

    fn is_resolved(&self) -> bool {
        self.resolved == Some(self.revision)
    }
}

/// The content of a frame that was sent and has no reply yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SentContent {
    /// A revision of the status.
    Status(u64),
    /// A revision of the visibility.
    Visibility(u64),
    /// Acknowledgements.
    Acks(Vec<NotificationId>),
}

/// The desired state of a device.
#[derive(Debug)]
pub(super) struct DesiredState {
    status: Desired<(OpenStatus, Option<StatusText>)>,
    visibility: Option<Desired<Vec<AppId>>>,
    acks: Vec<NotificationId>,
}

impl DesiredState {
    pub(super) fn new(
        status: OpenStatus,
        message: Option<StatusText>,
        visibility: Option<Vec<AppId>>,
    ) -> Self {
        let visibility = visibility.map(Desired::new);
        Self { status: Desired::new((status, message)), visibility, acks: Vec::new() }
    }

    pub(super) fn set_status(&mut self, status: OpenStatus, message: Option<StatusText>) {
        self.status.set((status, message));
    }

    pub(super) fn set_visibility(&mut self, applications: Vec<AppId>) {
        match &mut self.visibility {
            Some(visibility) => visibility.set(applications),
            None => self.visibility = Some(Desired::new(applications)),
        }
    }

    pub(super) fn acknowledge(&mut self, id: NotificationId) {
        if !self.acks.contains(&id) {
            self.acks.push(id);
        }
    }

    /// Returns the acknowledgements that are not sent.
    pub(super) fn acks(&self) -> &[NotificationId] {
        &self.acks
    }

    /// Marks the status and the visibility as unconfirmed, since they are sent again on a new
    /// socket.
    pub(super) fn reset(&mut self) {
        self.status.resolved = None;
        if let Some(visibility) = &mut self.visibility {
            visibility.resolved = None;
        }
    }

    /// Returns true if the server has confirmed or refused everything.
    pub(super) fn is_resolved(&self) -> bool {
        self.acks.is_empty()
            && self.status.is_resolved()
            && self.visibility.as_ref().is_none_or(Desired::is_resolved)
    }

    /// Returns the next command to send. The visibility comes before the status, so that no
    /// Application sees a status that it should not see.
    pub(super) fn next(&mut self) -> Option<(ClientCommand, SentContent)> {
        if let Some(visibility) = &self.visibility
            && !visibility.is_resolved()
        {
            let command = ClientCommand::Visibility(visibility.value.clone());
            return Some((command, SentContent::Visibility(visibility.revision)));
        }
        if !self.status.is_resolved() {
            return Some(self.status_command());
        }
        if self.acks.is_empty() {
            return None;
        }
        let ids: Vec<_> = self.acks.drain(..self.acks.len().min(MAX_ACKS_PER_FRAME)).collect();
        Some((ClientCommand::Ack(ids.clone()), SentContent::Acks(ids)))
    }

    /// Returns the command that reports the desired status.
    pub(super) fn status_command(&self) -> (ClientCommand, SentContent) {
        let (status, message) = self.status.value.clone();
        (ClientCommand::Status(status, message), SentContent::Status(self.status.revision))
    }

    /// Records that the server has confirmed a frame, or refused it for good.
    pub(super) fn resolve(&mut self, sent: &SentContent) {
        match sent {
            SentContent::Status(revision) => self.status.resolved = Some(*revision),
            SentContent::Visibility(revision) => {
                if let Some(visibility) = &mut self.visibility {
                    visibility.resolved = Some(*revision);
                }
            }
            SentContent::Acks(_) => {}
        }
    }

    /// Queues the content of a frame again that was lost or has to wait.
    pub(super) fn requeue(&mut self, sent: SentContent) {
        if let SentContent::Acks(ids) = sent {
            ids.into_iter().for_each(|id| self.acknowledge(id));
        }
    }
}
