//! The connections of a user's devices, as the roster knows them.

use presence_protocol::{DeviceName, UnixMillis};

use crate::clock::Steady;

/// The number of a connection, greater than that of every earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnectionNumber(pub u64);

/// A connection of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionId<'a> {
    /// The name of the device.
    pub device: &'a DeviceName,
    /// The number of the connection.
    pub number: ConnectionNumber,
}

/// A connection to be added to a roster.
pub struct NewConnection<'a, H> {
    /// The connection.
    pub id: ConnectionId<'a>,
    /// The handle that the roster keeps for the caller.
    pub handle: H,
    /// The time at which it was opened.
    pub now: UnixMillis,
}

/// The last connection of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastConnection<H> {
    /// The handle that the roster kept for the caller.
    pub handle: H,
    /// Set if the connection is open. Otherwise the device is in its grace time.
    pub is_open: bool,
}

/// The way in which a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disconnect {
    /// A clean close, or the user ended the device: its presence ends at once.
    Clean,
    /// Any other end: the device keeps its presence until the end of the grace time.
    Lost {
        /// The end of the grace time.
        until: Steady,
    },
}

/// A newer connection has replaced this one, so it cannot change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a newer connection has replaced this one")]
pub struct StaleConnection;

/// The user has too many connected devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many connected devices")]
pub struct TooManyDevices;
