//! What a channel is doing, and how it can end.

use std::fmt;
use std::time::Duration;

use presence_protocol::ApiError;

use crate::credential::CredentialReason;
use crate::error::Error;

/// What a channel is doing at the moment.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ConnectionState {
    /// On its way to the server: the how-manieth time since it was last connected, from 1.
    Connecting {
        /// From 1.
        attempt: u32,
    },
    /// The server has accepted the credential, and both sides can speak.
    Connected,
    /// Without a connection; comes back by itself.
    Waiting {
        /// Why it is not connected.
        reason: Error,
        /// After which time it tries again.
        retry_in: Duration,
    },
    /// Without a connection until a credential is given.
    CredentialWanted(CredentialReason),
    /// A fresh credential was refused, or the token source has none: nothing happens until another one is given.
    SignedOut(ApiError),
    /// Over, for good.
    Ended(EndReason),
}

/// How a channel ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndReason {
    /// This application closed it.
    Closed,
    /// A newer connection of the same device has taken over: close code 4001.
    Replaced,
    /// The user ended this device, or erased the account: 4005.
    EndedByUser,
    /// The Application was deactivated or removed, or its key revoked: 4004.
    ApplicationClosed,
    /// Server and client do not understand each other, so that coming back would not help.
    Incompatible(String),
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "it was closed by this application",
            Self::Replaced => "a newer connection of the same device has taken over",
            Self::EndedByUser => "the user ended this device",
            Self::ApplicationClosed => {
                "the application was deactivated or removed, or its key revoked"
            }
            Self::Incompatible(reason) => reason,
        })
    }
}

/// Whether a phone app is in front of the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppVisibility {
    /// In front: the connection is checked at once, and a wait for the next attempt is cut short.
    Foreground,
    /// Not in front: the connection is kept with as few signs of life as it needs.
    Background,
}
