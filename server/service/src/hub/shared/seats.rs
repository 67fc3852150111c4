//! The connections of one user to this server.

use std::sync::Arc;

use presence_protocol::DeviceName;
use presence_store::SharedRoster;

use crate::mailbox::Mailbox;

/// A connection of a device to this server.
#[derive(Clone)]
pub(super) struct Seat {
    pub(super) device: DeviceName,
    /// The random number of the connection.
    pub(super) number: u64,
    pub(super) mailbox: Arc<Mailbox>,
    /// Set once the roster in the database has the connection.
    pub(super) is_confirmed: bool,
    /// Set until the connection is put back, after this server has joined again.
    pub(super) is_restoring: bool,
}

/// The connections of one user, with the roster as this server last knew it.
#[derive(Default)]
pub(super) struct Seats {
    pub(super) seats: Vec<Seat>,
    pub(super) roster: Option<(i64, Arc<SharedRoster>)>,
}
