//! The chat room as its members see it: the list of members and the log.

use presence_client::{NotificationId, ReceiptState, Status};

/// The index of a member in the list.
pub(crate) type MemberId = usize;

/// An entry of the log.
#[derive(Debug, Clone)]
pub(crate) struct LogEntry {
    pub(crate) id: u64,
    /// Milliseconds since 1970 UTC.
    pub(crate) time: u64,
    /// The name of the member.
    pub(crate) member: String,
    pub(crate) event: LogEvent,
}

/// An event of the log.
#[derive(Debug, Clone)]
pub(crate) enum LogEvent {
    /// The member joined.
    Joined,
    /// The member sent a message.
    Message(String),
    /// The member pinged another member. The state is that of the receipt.
    Ping { member: String, id: NotificationId, state: Option<ReceiptState> },
}

impl LogEntry {
    /// Returns true if the entry is the ping with this id.
    pub(super) fn is_ping(&self, notification: NotificationId) -> bool {
        matches!(self.event, LogEvent::Ping { id, .. } if id == notification)
    }
}

/// The availability of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Availability {
    /// The member has the page open.
    PageOpen,
    /// The member has closed the page, and shares their presence.
    PageClosed(Status),
    /// The member has closed the page, and does not share their presence.
    Unknown,
}

/// A member, as another member sees them.
#[derive(Debug, Clone)]
pub(crate) struct MemberView {
    pub(crate) id: MemberId,
    pub(crate) name: String,
    pub(crate) is_you: bool,
    /// Is true if the member shares their presence.
    pub(crate) shares: bool,
    pub(crate) availability: Availability,
    /// The status text.
    pub(crate) text: String,
}

/// The chat room, as a member sees it.
#[derive(Debug, Clone)]
pub(crate) struct RoomView {
    pub(crate) members: Vec<MemberView>,
    pub(crate) log: Vec<LogEntry>,
    /// Is true if the presence of the members is up to date.
    pub(crate) is_live: bool,
}
