//! The events of the channel of an AppService.

use presence_protocol::open::{OpenPresence, OpenReceipt};

use crate::state::ConnectionState;

/// An event of the channel of an AppService.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum AppServiceEvent {
    /// The state of the channel has changed. A slow application gets only the newest state.
    State(ConnectionState),
    /// All visible users who are not offline. It comes after connecting, and whenever updates may
    /// have been missed.
    Snapshot(Snapshot),
    /// Changes of users.
    Updates(Updates),
    /// Final results of notifications.
    Receipts(Receipts),
    /// True if the server cannot see changes of users from now on, so that what is known may be out
    /// of date. False once it can, after the updates that were missed, or once the connection is
    /// lost. A slow application gets only what is true.
    Stale(bool),
}

/// All visible users who are not offline, at one moment. A user who is absent is offline.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The users.
    pub presence: Vec<OpenPresence>,
    /// Set if updates before this snapshot may have been missed.
    pub gap: bool,
    /// The cursor at which a later channel can resume.
    pub cursor: Option<String>,
}

/// Changes of users. A slow application gets only the newest change of each user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Updates {
    /// The changes, in the order in which the first change of each user arrived.
    pub presence: Vec<OpenPresence>,
    /// The cursor at which a later channel can resume.
    pub cursor: Option<String>,
}

/// Final results of notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipts {
    /// The receipts, in the order in which they arrived.
    pub receipts: Vec<OpenReceipt>,
    /// The number of older receipts that were lost because the application was too slow.
    pub lost: u64,
}
