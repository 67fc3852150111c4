//! The log of a stream: its entries, and what readers get from them.

use presence_protocol::app::Receipt;
use presence_protocol::{PresenceUpdate, UnixMillis};

use super::updates::{shows, update_after};
use crate::view::View;

/// A change of what the Application sees of one user.
pub(crate) struct LoggedChange {
    pub(crate) update: PresenceUpdate,
    /// The view before the update.
    pub(crate) previous: View,
}

impl LoggedChange {
    /// Returns the update for a reader that has read the one before it, if the two differ.
    pub(crate) fn changed_update(&self) -> Option<PresenceUpdate> {
        let Self { update, previous } = self;
        (update.revoked || !shows(update, previous)).then(|| update_after(previous, update.clone()))
    }

    /// Returns the number of bytes of its texts.
    fn text_bytes(&self) -> usize {
        let texts = [&self.update.message, &self.previous.text];
        texts.into_iter().flatten().map(|text| text.as_str().len()).sum()
    }
}

/// The content of an entry of the log.
pub(crate) enum LogItem {
    Update(LoggedChange),
    /// The changes of all users at once, when the Application was switched on or off.
    Switched(Box<[LoggedChange]>),
    Receipt(Receipt),
    /// The place of an entry that the Application does not see.
    Hidden,
}

impl LogItem {
    /// Returns the changes of users.
    pub(crate) fn changes(&self) -> &[LoggedChange] {
        match self {
            Self::Update(change) => std::slice::from_ref(change),
            Self::Switched(changes) => changes,
            Self::Receipt(_) | Self::Hidden => &[],
        }
    }
}

/// An entry of the log.
pub(crate) struct LogEntry {
    pub(crate) at: UnixMillis,
    pub(crate) item: LogItem,
}

impl LogEntry {
    /// Returns about the number of bytes that it needs.
    pub(crate) fn bytes(&self) -> usize {
        let changes = match &self.item {
            LogItem::Switched(changes) => size_of_val(&**changes),
            LogItem::Update(_) | LogItem::Receipt(_) | LogItem::Hidden => 0,
        };
        let texts = self.item.changes().iter().map(LoggedChange::text_bytes);
        size_of::<Self>() + changes + texts.sum::<usize>()
    }
}
