//! The reasons for which a channel ends.

use std::fmt;

/// The reason for which a channel has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndReason {
    /// This application closed the channel.
    Closed,
    /// A newer connection of the same device has replaced this one: close code 4001.
    Replaced,
    /// The user ended this device, or deleted the account: close code 4005.
    EndedByUser,
    /// The Application was deactivated or removed, or its API key was deleted: close code 4004.
    ApplicationClosed,
    /// The task of the channel was aborted, because its runtime was shut down.
    Aborted,
    /// Server and client do not understand each other, so that a reconnect would not help.
    Incompatible(String),
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "this application closed it",
            Self::Replaced => "a newer connection of the same device has replaced it",
            Self::EndedByUser => "the user ended this device",
            Self::ApplicationClosed => {
                "the Application was deactivated or removed, or its API key was deleted"
            }
            Self::Aborted => "its runtime was shut down",
            Self::Incompatible(reason) => reason,
        })
    }
}
