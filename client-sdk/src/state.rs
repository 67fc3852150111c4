//! The state of a channel, and of the app that it belongs to.

use std::time::Duration;

use presence_protocol::{ApiError, UnixMillis};

use crate::credential::CredentialReason;
use crate::end_reason::EndReason;
use crate::error::Error;

/// The state of a channel.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ConnectionState {
    /// The channel is connecting to the server.
    Connecting {
        /// The number of this attempt since the channel was last connected, from 1.
        attempt: u32,
    },
    /// The server has accepted the credential, and both sides can send.
    Connected,
    /// The channel is not connected, and reconnects by itself.
    Waiting {
        /// The reason for which it is not connected.
        reason: Error,
        /// The time until the next attempt.
        retry_in: Duration,
    },
    /// The channel is not connected, and waits until a credential is given.
    CredentialWanted(CredentialReason),
    /// The server refused a fresh credential, or the credential provider has none. The channel
    /// waits until another one is given.
    SignedOut(ApiError),
    /// The channel has ended for good.
    Ended(EndReason),
}

/// A change of the state of a channel. The state has the reason for it: a
/// [`Waiting`](ConnectionState::Waiting) after a lost connection, for example.
#[derive(Debug, Clone, PartialEq)]
pub struct StateChange {
    /// The wall-clock time of the change.
    pub at: UnixMillis,
    /// The state that began then.
    pub state: ConnectionState,
}

/// The visibility of a phone app to its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppVisibility {
    /// The app is visible to its user. The channel checks the connection at once, and shortens
    /// a wait for the next attempt.
    Foreground,
    /// The app is not visible to its user. The channel sends half as many pings.
    Background,
}
