//! The view that an Application has of a user.

use presence_protocol::{Status, StatusText};

/// A status with its text. Offline never has a text, so that hidden, paused and disconnected users
/// look alike.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// The status.
    pub status: Status,
    /// The text.
    pub text: Option<StatusText>,
}

impl View {
    /// Creates a view. The text of an offline one is dropped.
    pub fn new(status: Status, text: Option<StatusText>) -> Self {
        Self { status, text: text.filter(|_| status != Status::Offline) }
    }
}

/// Returns the number that stands for a status in stored values.
pub const fn status_code(status: Status) -> u8 {
    match status {
        Status::Offline => 0,
        Status::Unavailable => 1,
        Status::Online => 2,
    }
}

/// Returns the status of a stored number.
pub const fn status_from_code(code: u8) -> Option<Status> {
    match code {
        0 => Some(Status::Offline),
        1 => Some(Status::Unavailable),
        2 => Some(Status::Online),
        _ => None,
    }
}
