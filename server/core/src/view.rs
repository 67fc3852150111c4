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
